// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title The escrow of Emeth jobs
/// @notice A fee lies here from the request until the result is verified. Every state that is not final has an exit that time
/// alone opens and anybody can call. Money only ever becomes credit; its owner withdraws it.
///
///     (none) --request--> REQUESTED --process--> PROCESSING --submit--> SUBMITTED --verify, accept, finalize--> VERIFIED
///     REQUESTED  --cancel--> CANCELED     --expire--> TIMEOUT
///     PROCESSING --decline--> REQUESTED or DECLINED     --timeout--> TIMEOUT
///     SUBMITTED  --rejectResult--> FAILED     --challenge--> DISPUTED
///     DISPUTED   --verify--> VERIFIED     --rejectResult--> FAILED     --unwind--> UNVERIFIED
interface IEmethCore {
    /// @notice The numbers are part of the interface.
    enum State {
        NONE,
        REQUESTED,
        PROCESSING,
        SUBMITTED,
        VERIFIED,
        CANCELED,
        TIMEOUT,
        FAILED,
        DECLINED,
        DISPUTED,
        UNVERIFIED
    }

    /// @notice Whose word made a result stand.
    enum Verdict {
        VERIFIERS,
        REQUESTER,
        TIME
    }

    /// @notice The rules a job is requested under; later changes never touch it. Rates are in basis points.
    struct Terms {
        /// Least fee of a job, in wei.
        uint96 minFee;
        /// Verifier's fee, of the job's fee, paid on top of it. At most a quarter of the penalty, which pays it for a bad result.
        uint16 verifierBps;
        /// What a node loses of its deposit for a timeout or a rejected result, and the bond of whoever challenges one.
        uint16 penaltyBps;
        /// What a node loses of its deposit for giving a job back.
        uint16 declineBps;
        /// The part of a penalty that whoever calls `timeout` gets.
        uint16 tipBps;
        /// What is burnt of a verified job, of its payout, paid on top of the fee. It is what slot rewards are measured by.
        uint16 burnBps;
        /// Verifiers that must agree.
        uint8 quorum;
        /// Least seconds from request (or return) to the deadline.
        uint24 minWork;
        /// Seconds in which a verdict is awaited; afterwards the result stands. A challenge opens as long a window again.
        uint24 verdictWindow;
        /// Seconds in which pay may be claimed; afterwards the node may sweep it.
        uint24 claimWindow;
    }

    /// @notice A job as `jobs` shows it. `deadline` is the end of the present window: of work, of the verdict, of claiming. One that
    /// ended without a result has no requester, fee and window any more; the log has them.
    struct Job {
        State state;
        address requester;
        address node;
        uint96 fee;
        uint40 fuelLimit;
        uint40 deadline;
        uint8 termsId;
        /// Before VERIFIED what the result would pay, afterwards what is not yet paid out of it.
        uint96 payout;
        /// First 20 bytes of keccak256(resultHash, payoutRoot), while the result stands or may yet.
        bytes20 commitment;
        /// Who challenged the result, if anybody did.
        address challenger;
    }

    struct Payee {
        address worker;
        uint96 amount;
    }

    error EmethCore_WrongState(bytes16 jobId, State state, State needed);
    error EmethCore_NotRequester(bytes16 jobId, address caller);
    error EmethCore_NotNode(bytes16 jobId, address caller);
    error EmethCore_NodeNotActive(address node);
    error EmethCore_JobExists(bytes16 jobId);
    error EmethCore_FeeTooLow(uint96 fee, uint96 minFee);
    error EmethCore_NoFuel();
    error EmethCore_DeadlineTooNear(uint40 deadline, uint256 earliest);
    error EmethCore_DeadlineTooFar(uint40 deadline, uint256 latest);
    error EmethCore_DeadlinePassed(bytes16 jobId, uint40 deadline);
    error EmethCore_TooEarly(bytes16 jobId, uint40 opensAt);
    error EmethCore_FuelAboveLimit(bytes16 jobId, uint40 fuelUsed, uint40 fuelLimit);
    error EmethCore_WrongResult(bytes16 jobId, bytes20 commitment);
    error EmethCore_QuorumNotReached(uint256 attestations, uint256 quorum);
    error EmethCore_NotVerifier(address account);
    error EmethCore_AttestationsCut(uint256 length);
    error EmethCore_AttestationsNotSorted(address before, address signer);
    error EmethCore_WrongPayout(bytes16 jobId, uint256 sum, uint256 payout);
    error EmethCore_TooManyPayees(uint256 count);
    error EmethCore_AlreadyClaimed(bytes16 jobId, uint256 index);
    error EmethCore_WrongProof(bytes16 jobId, uint256 index);
    error EmethCore_NotEnoughCredit(address account, uint256 credit, uint256 amount);
    error EmethCore_TooMuchCredit(uint256 amount);
    error EmethCore_Paused();
    error EmethCore_TermsOutOfBounds();
    error EmethCore_NotRegistry(address caller);
    error EmethCore_SignatureExpired(uint256 deadline);
    error EmethCore_WrongSignature(address signer, address account);

    event JobRequested(
        bytes16 indexed jobId,
        address indexed requester,
        uint96 fee,
        uint256 verifierFee,
        uint256 burnFee,
        uint40 fuelLimit,
        uint40 deadline,
        uint8 termsId,
        string dataset,
        string params
    );
    event JobCanceled(bytes16 indexed jobId, uint256 refund);
    event JobExpired(bytes16 indexed jobId, uint256 refund);
    event JobProcessing(bytes16 indexed jobId, address indexed node, uint256 deposit);
    event JobDeclined(bytes16 indexed jobId, address indexed node, bool reopened, uint256 returned, uint256 penalty, uint256 refund);
    event JobTimedOut(
        bytes16 indexed jobId,
        address indexed node,
        uint256 refund,
        uint256 returned,
        uint256 penalty,
        address caller,
        uint256 tip
    );
    event JobSubmitted(
        bytes16 indexed jobId,
        address indexed node,
        bytes32 resultHash,
        bytes32 payoutRoot,
        uint40 fuelUsed,
        uint96 payout,
        string result
    );
    /// @param slot The day of settlement, by which rewards are shared.
    /// @param burnt What the job irrecoverably burnt, in the node's name.
    event JobVerified(
        bytes16 indexed jobId,
        address indexed node,
        Verdict verdict,
        uint256 payout,
        uint256 refund,
        uint256 deposit,
        uint256 slot,
        uint256 burnt,
        address verifier,
        uint256 verifierFee
    );
    /// @param penalty What is burnt of the node's loss; the rest of it paid verifier and challenger.
    event JobRejected(
        bytes16 indexed jobId,
        bytes16 reasonHash,
        uint256 refund,
        uint256 returned,
        uint256 penalty,
        address verifier,
        uint256 verifierFee
    );
    event JobChallenged(bytes16 indexed jobId, address indexed challenger, uint256 bond);
    /// @param upheld Whether the challenger was right.
    /// @param returned What the challenger gets: its bond and a reward, or nothing.
    /// @param penalty What is burnt of a lost bond.
    event ChallengeDecided(
        bytes16 indexed jobId,
        address indexed challenger,
        bool upheld,
        uint256 returned,
        uint256 toNode,
        uint256 penalty
    );
    event JobUnwound(bytes16 indexed jobId, uint256 refund, uint256 deposit, address challenger, uint256 bond);
    event WorkerPaid(bytes16 indexed jobId, address indexed worker, uint256 index, uint256 amount);
    event PaySwept(bytes16 indexed jobId, address indexed node, uint256 amount);
    event Deposited(address indexed account, address indexed from, uint256 amount);
    event CreditUsed(address indexed account, uint256 amount);
    event Withdrawn(address indexed account, address indexed to, uint256 amount);
    /// @param tip What `account` paid whoever brought its signature.
    event WithdrawalRelayed(address indexed account, address indexed relayer, uint256 tip);
    event Burnt(address indexed account, uint256 amount);
    event NodeActivityChanged(address indexed node, bool active);
    event TermsChanged(uint8 indexed termsId, Terms terms);
    event PausedChanged(bool paused);
    event RegistryChanged(address registry);

    /// @notice Requests a job and locks its fee and, on top of it, the verifier's and what may be burnt; from credit first, then from
    /// the caller's tokens.
    /// @param dataset Reference of the data set: `sha256:…`, `https://…`.
    /// @param params The job's parameters, JSON.
    /// @param fee Paid if all of `fuelLimit` is used, in wei.
    /// @param fuelLimit Most tokens that are paid for.
    /// @param deadline Unix seconds until which the result must be submitted.
    /// @param salt Lets one requester make many equal jobs.
    /// @return jobId Bound to requester, salt and content, so that nobody can take it first.
    function request(string calldata dataset, string calldata params, uint96 fee, uint40 fuelLimit, uint40 deadline, bytes32 salt)
        external
        returns (bytes16 jobId);

    /// @notice `request` with an ERC-2612 permit for the tokens, in one transaction. A permit that was used already is no error.
    function requestWithPermit(
        string calldata dataset,
        string calldata params,
        uint96 fee,
        uint40 fuelLimit,
        uint40 deadline,
        bytes32 salt,
        uint256 permitValue,
        uint256 permitDeadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (bytes16 jobId);

    /// @notice The requester takes back a job nobody has taken.
    function cancel(bytes16 jobId) external;

    /// @notice Anybody ends a job nobody took before its deadline.
    function expire(bytes16 jobId) external;

    /// @notice An active node takes the job and locks a deposit as high as the fee.
    function process(bytes16 jobId) external;

    /// @notice The node gives the job back: to the queue while there is time, for the smaller penalty; to its end otherwise, for the
    /// larger one.
    function decline(bytes16 jobId) external;

    /// @notice Anybody ends a job whose node missed the deadline, and gets a tip for it.
    function timeout(bytes16 jobId) external;

    /// @notice The node commits to a result.
    /// @param resultHash sha256 of the manifest.
    /// @param fuelUsed Tokens merged into the model.
    /// @param payoutRoot Root of the Merkle tree of (index, worker, amount); OpenZeppelin's standard tree.
    /// @param result Where the manifest is.
    function submit(bytes16 jobId, bytes32 resultHash, uint40 fuelUsed, bytes32 payoutRoot, string calldata result) external;

    /// @notice A quorum of verifiers accepts the result. A calling verifier counts without a signature. Its fee goes to the calling
    /// verifier, or to the first signer.
    /// @param commitment The result that is meant, as `commit` names it.
    /// @param attestations EIP-712 signatures over `Attestation(bytes16 jobId,bytes20 commitment,bool accepted,bytes16 reasonHash)`, 65
    /// bytes each, by ascending signer.
    function verify(bytes16 jobId, bytes20 commitment, bytes calldata attestations) external;

    /// @notice A quorum of verifiers rejects the result.
    function rejectResult(bytes16 jobId, bytes20 commitment, bytes16 reasonHash, bytes calldata attestations) external;

    /// @notice The requester accepts the result without waiting for verifiers.
    function accept(bytes16 jobId) external;

    /// @notice Anybody settles a result about which no verdict came in its window: it stands, the verifier's fee goes back.
    function finalize(bytes16 jobId) external;

    /// @notice Anybody disputes a result, in its window, with a bond as high as the node's penalty. Now only verifiers can make the
    /// result stand; if it does, half the bond is the node's; if not, the bond comes back with a quarter of the penalty.
    function challenge(bytes16 jobId) external;

    /// @notice Anybody ends a dispute the verifiers left undecided: everybody gets back what it put in.
    function unwind(bytes16 jobId) external;

    /// @notice Credits all payees of a verified job at once; at most 16.
    /// @param payees The whole payout list, by index.
    function payWorkers(bytes16 jobId, bytes32 resultHash, Payee[] calldata payees) external;

    /// @notice Credits one payee by its proof.
    function claimPay(
        bytes16 jobId,
        bytes32 resultHash,
        bytes32 payoutRoot,
        uint256 index,
        address worker,
        uint96 amount,
        bytes32[] calldata proof
    ) external;

    /// @notice The node takes what nobody claimed in the claim window.
    function sweepUnclaimed(bytes16 jobId) external;

    /// @notice Turns tokens into credit of `account`.
    function deposit(address account, uint256 amount) external;

    /// @notice Turns the caller's credit into tokens of `to`.
    function withdraw(address to, uint256 amount) external;

    /// @notice `withdraw` for an account without coin for gas: anybody brings its signature, and gets `tip` as credit.
    /// @param amount Tokens that go to `to`; the tip comes on top of it, out of the same credit.
    /// @param deadline Unix seconds until which the signature is good.
    /// @param signature EIP-712 over `Withdrawal(address account,address to,uint256 amount,uint256 tip,uint256 nonce,uint256 deadline)`
    /// with the account's next nonce.
    function withdrawWithSig(address account, address to, uint256 amount, uint256 tip, uint256 deadline, bytes calldata signature)
        external;

    /// @notice Anybody burns what is booked as burnt in an account's name.
    function burn(address account) external;

    /// @notice The registry says whether a node may take jobs.
    function setActive(address node, bool active) external;

    /// @notice What an account may withdraw or pay with.
    function credit(address account) external view returns (uint256);
    /// @notice Penalties and burnt parts of fees in an account's name that `burn` has not yet taken out of the world.
    function forfeited(address account) external view returns (uint256);
    /// @notice Whether a node may take jobs.
    function isActive(address node) external view returns (bool);
    /// @notice What says which nodes may take jobs; zero: any account may.
    function registry() external view returns (address);
    /// @notice What all verified jobs of a slot burnt; `slot` is the Unix time in days.
    function slotBurnt(uint256 slot) external view returns (uint256);
    /// @notice The part of it that one node's jobs burnt.
    function slotBurntBy(uint256 slot, address node) external view returns (uint256);

    /// @notice A job as it is now; state NONE if there never was one.
    function jobs(bytes16 jobId) external view returns (Job memory);
    /// @notice The rules by their number; a job names the one it was requested under.
    function terms(uint8 termsId) external view returns (Terms memory);
    /// @notice The id `request` gives. `specHash` is keccak256 of (keccak256(dataset), keccak256(params), fee, fuelLimit, deadline).
    function computeJobId(address requester, bytes32 salt, bytes32 specHash) external view returns (bytes16);

    /// @notice What `submit` stores of a result: the first 20 bytes of keccak256(resultHash, payoutRoot).
    function commit(bytes32 resultHash, bytes32 payoutRoot) external pure returns (bytes20);
}
