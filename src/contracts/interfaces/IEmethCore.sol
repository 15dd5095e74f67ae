// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethAccounts} from "./IEmethAccounts.sol";

/// @title The escrow of Emeth jobs
/// @notice A fee lies here from the request until the result is verified. Every state that is not final has an exit that time
/// alone opens and anybody can call. Money only ever becomes credit; its owner withdraws it. Amounts are in wei, times Unix seconds.
///
///     (none) --request--> REQUESTED --process--> PROCESSING --submit--> SUBMITTED --verify, accept, finalize--> VERIFIED
///     REQUESTED  --cancel--> CANCELED     --expire--> TIMEOUT
///     PROCESSING --decline--> REQUESTED or DECLINED     --timeout--> TIMEOUT
///     SUBMITTED  --rejectResult--> FAILED     --challenge--> DISPUTED
///     DISPUTED   --verify--> VERIFIED     --rejectResult--> FAILED     --unwind--> UNVERIFIED
interface IEmethCore is IEmethAccounts {
    /// @notice The states of a job; their numbers are part of the interface.
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

    /// @notice The rules a job is requested under; later changes never touch it. Rates are in basis points. What is in brackets is
    /// what `setTerms` takes.
    struct Terms {
        /// Least fee of a job, in wei. [1, 1,000,000 tokens]
        uint96 minFee;
        /// Verifier's fee, of the job's fee, paid on top of it. The penalty pays it for a bad result. [0, a quarter of
        /// `penaltyBps`]
        uint16 verifierBps;
        /// What a node loses of its deposit for a timeout or a rejected result, and the bond of whoever challenges one. [100, 5,000]
        uint16 penaltyBps;
        /// What a node loses of its deposit for giving a job back in time for another. [0, `penaltyBps`]
        uint16 declineBps;
        /// The part of a penalty that whoever calls `timeout` gets. [0, 1,000]
        uint16 tipBps;
        /// What is burnt of a verified job, of its payout, paid on top of the fee. It is what slot rewards are measured by. [0, 2,000]
        uint16 burnBps;
        /// Verifiers that must agree. [1, 16]
        uint8 quorum;
        /// Least seconds from request (or return) to the deadline. [0, a day]
        uint24 minWork;
        /// Seconds in which a verdict is awaited; afterwards the result stands. A challenge opens as long a window again.
        /// [10 minutes, 14 days]
        uint24 verdictWindow;
        /// Seconds in which pay may be claimed; afterwards the node may sweep it. [7 days, 180 days]
        uint24 claimWindow;
    }

    /// @notice A job as `jobs` shows it. A job that ended without a result (CANCELED, TIMEOUT, DECLINED, FAILED, UNVERIFIED) keeps
    /// only its state and, if there was one, its challenger; everything else is zero, and the log has it.
    struct Job {
        State state;
        address requester;
        /// Who holds it; zero while nobody does.
        address node;
        /// Paid if all fuel is used; the node's deposit is as high.
        uint96 fee;
        /// Most tokens that are paid for.
        uint40 fuelLimit;
        /// The end of the present window: of work, of the verdict, of claiming.
        uint40 deadline;
        /// Number of the terms it was requested under.
        uint8 termsId;
        /// Before VERIFIED what the result would pay, afterwards what is not yet paid out of it.
        uint96 payout;
        /// First 20 bytes of keccak256(resultHash, payoutRoot), while the result stands or may yet.
        bytes20 commitment;
        /// Who challenged the result, if anybody did.
        address challenger;
    }

    /// @notice A line of a payout list: a worker and what it gets, in wei.
    struct Payee {
        address worker;
        uint96 amount;
    }

    /// @notice The job is not in the state that the call needs.
    error EmethCore_WrongState(bytes16 jobId, State state, State needed);
    /// @notice Only the requester may cancel or accept.
    error EmethCore_NotRequester(bytes16 jobId, address caller);
    /// @notice Only the node that holds the job may do this.
    error EmethCore_NotNode(bytes16 jobId, address caller);
    /// @notice The registry does not have the node as one that takes jobs.
    error EmethCore_NodeNotActive(address node);
    /// @notice The requester has made this very job before; another salt makes it another one.
    error EmethCore_JobExists(bytes16 jobId);
    /// @notice The fee is below the least that the present terms take, in wei.
    error EmethCore_FeeTooLow(uint96 fee, uint96 minFee);
    /// @notice A job was requested with a fuel limit of zero.
    error EmethCore_NoFuel();
    /// @notice The deadline leaves less time for work than the terms ask for; `earliest` would do.
    error EmethCore_DeadlineTooNear(uint40 deadline, uint256 earliest);
    /// @notice The deadline is more than 365 days off; `latest` would do.
    error EmethCore_DeadlineTooFar(uint40 deadline, uint256 latest);
    /// @notice The window in which this could be done is over since `deadline`.
    error EmethCore_DeadlinePassed(bytes16 jobId, uint40 deadline);
    /// @notice The window of others is still open; the call works after `opensAt`.
    error EmethCore_TooEarly(bytes16 jobId, uint40 opensAt);
    /// @notice The node says it used more fuel than was bought, in tokens.
    error EmethCore_FuelAboveLimit(bytes16 jobId, uint40 fuelUsed, uint40 fuelLimit);
    /// @notice The commitment that the call means is not the one that was submitted.
    error EmethCore_WrongResult(bytes16 jobId, bytes20 commitment);
    /// @notice Fewer verifiers spoke than the job's terms ask for.
    error EmethCore_QuorumNotReached(uint256 attestations, uint256 quorum);
    /// @notice The account that calls or signs is no verifier.
    error EmethCore_NotVerifier(address account);
    /// @notice The attestations are no whole number of signatures of 65 bytes.
    error EmethCore_AttestationsCut(uint256 length);
    /// @notice A signer does not come after the one before it, or comes twice.
    error EmethCore_AttestationsNotSorted(address before, address signer);
    /// @notice The list's sum is zero or not the payout, or some of it was claimed already; or a claim is of zero or of more than is left.
    error EmethCore_WrongPayout(bytes16 jobId, uint256 sum, uint256 payout);
    /// @notice A payout list of more than 16 cannot be paid at once; its payees claim by proof.
    error EmethCore_TooManyPayees(uint256 count);
    /// @notice This line of the payout list was paid before.
    error EmethCore_AlreadyClaimed(bytes16 jobId, uint256 index);
    /// @notice The proof does not lead from this line to the payout root.
    error EmethCore_WrongProof(bytes16 jobId, uint256 index);
    /// @notice The account wants to withdraw more than its credit, in wei.
    error EmethCore_NotEnoughCredit(address account, uint256 credit, uint256 amount);
    /// @notice With this amount, in wei, an account's books would go above 2^120 - 1, which is more than all EMT.
    error EmethCore_TooMuchCredit(uint256 amount);
    /// @notice Requests and processing are paused; every exit of a job is open.
    error EmethCore_Paused();
    /// @notice A field of the terms, by its name, is not in [least, most], in its own unit.
    error EmethCore_TermsOutOfBounds(bytes32 field, uint256 value, uint256 least, uint256 most);
    /// @notice Only the present registry says who is active.
    error EmethCore_NotRegistry(address caller);
    /// @notice The signature was good until `deadline`.
    error EmethCore_SignatureExpired(uint256 deadline);
    /// @notice The signature is another's, or over something else or another nonce.
    error EmethCore_WrongSignature(address signer, address account);

    /// @notice A job waits for a node; fee, verifier's fee and what may be burnt are locked, in wei.
    /// @param burnFee What a full payout would burn.
    /// @param fuelLimit Most tokens that are paid for.
    /// @param deadline Unix seconds until which the result must be submitted.
    /// @param dataset Reference of the data set.
    /// @param params The job's parameters, JSON.
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
    /// @notice The requester took the job back, and was credited all it had put in, in wei.
    event JobCanceled(bytes16 indexed jobId, uint256 refund);
    /// @notice Nobody took the job before its deadline; the requester was credited all it had put in, in wei.
    event JobExpired(bytes16 indexed jobId, uint256 refund);
    /// @notice A node works on the job and has locked a deposit as high as the fee, in wei.
    event JobProcessing(bytes16 indexed jobId, address indexed node, uint256 deposit);
    /// @notice The node gave the job back.
    /// @param reopened Whether it waits for another node; if not, it has ended as DECLINED.
    /// @param returned Wei of the deposit credited to the node.
    /// @param penalty Wei of it that are burnt.
    /// @param refund Wei credited to the requester; zero if reopened.
    event JobDeclined(bytes16 indexed jobId, address indexed node, bool reopened, uint256 returned, uint256 penalty, uint256 refund);
    /// @notice The node missed the deadline, and somebody ended the job.
    /// @param refund Wei credited to the requester: all it put in.
    /// @param returned Wei of the deposit credited to the node.
    /// @param penalty Wei of it that are burnt.
    /// @param tip Wei of it credited to the caller.
    event JobTimedOut(
        bytes16 indexed jobId,
        address indexed node,
        uint256 refund,
        uint256 returned,
        uint256 penalty,
        address caller,
        uint256 tip
    );
    /// @notice The node committed to a result; the window for a verdict has begun.
    /// @param resultHash sha256 of the manifest.
    /// @param payoutRoot Root of the Merkle tree of who is paid what.
    /// @param fuelUsed Tokens merged into the model.
    /// @param payout Wei the result pays if it stands.
    /// @param result Where the manifest is.
    event JobSubmitted(
        bytes16 indexed jobId,
        address indexed node,
        bytes32 resultHash,
        bytes32 payoutRoot,
        uint40 fuelUsed,
        uint96 payout,
        string result
    );
    /// @notice The result stands; workers may be paid.
    /// @param verdict Whose word it was.
    /// @param payout Wei that workers, and at last the node, may claim.
    /// @param refund Wei credited to the requester: what is left of all it put in.
    /// @param deposit Wei credited to the node: its deposit.
    /// @param slot The day of settlement, by which rewards are shared.
    /// @param burnt What the job irrecoverably burnt, in the node's name, in wei.
    /// @param verifier Who earned the verifier's fee; zero if nobody verified.
    /// @param verifierFee Wei credited to the verifier.
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
    /// @notice A quorum of verifiers rejected the result.
    /// @param reasonHash Names the report of what is wrong, as the verifiers signed it.
    /// @param refund Wei credited to the requester: all it put in.
    /// @param returned Wei of the deposit credited to the node.
    /// @param penalty Wei burnt of the node's loss; the rest of it paid verifier and challenger.
    /// @param verifierFee Wei credited to the verifier.
    event JobRejected(
        bytes16 indexed jobId,
        bytes16 reasonHash,
        uint256 refund,
        uint256 returned,
        uint256 penalty,
        address verifier,
        uint256 verifierFee
    );
    /// @notice Somebody disputes the result; now only verifiers can make it stand. The bond is locked, in wei.
    event JobChallenged(bytes16 indexed jobId, address indexed challenger, uint256 bond);
    /// @notice Verifiers decided a dispute; `JobVerified` or `JobRejected` comes with it.
    /// @param upheld Whether the challenger was right.
    /// @param returned Wei credited to the challenger: its bond and a reward, or nothing.
    /// @param toNode Wei of a lost bond credited to the node.
    /// @param penalty Wei of it that are burnt.
    event ChallengeDecided(
        bytes16 indexed jobId,
        address indexed challenger,
        bool upheld,
        uint256 returned,
        uint256 toNode,
        uint256 penalty
    );
    /// @notice The verifiers left a dispute undecided, and everybody got back what it had put in: refund to the requester, deposit to
    /// the node, bond to the challenger, in wei.
    event JobUnwound(bytes16 indexed jobId, uint256 refund, uint256 deposit, address challenger, uint256 bond);
    /// @notice A worker was credited its pay, in wei; `index` is its place in the payout list.
    event WorkerPaid(bytes16 indexed jobId, address indexed worker, uint256 index, uint256 amount);
    /// @notice The node was credited what nobody had claimed in the claim window, in wei.
    event PaySwept(bytes16 indexed jobId, address indexed node, uint256 amount);
    /// @notice `from` turned tokens into credit of `account`, in wei.
    event Deposited(address indexed account, address indexed from, uint256 amount);
    /// @notice An account paid for a request, a deposit or a bond with so much of its credit, in wei.
    event CreditUsed(address indexed account, uint256 amount);
    /// @notice An account's credit became tokens of `to`, in wei.
    event Withdrawn(address indexed account, address indexed to, uint256 amount);
    /// @notice The withdrawal that the next event tells of was brought by somebody else, whom `account` paid `tip` wei of its credit.
    event WithdrawalRelayed(address indexed account, address indexed relayer, uint256 tip);
    /// @notice What was booked as burnt in an account's name, in wei, is out of the world.
    event Burnt(address indexed account, uint256 amount);
    /// @notice The registry said whether a node may take jobs.
    event NodeActivityChanged(address indexed node, bool active);
    /// @notice Jobs requested from now on have these terms.
    event TermsChanged(uint8 indexed termsId, Terms terms);
    /// @notice Requests and processing were stopped or let go on.
    event PausedChanged(bool paused);
    /// @notice From now on another registry says who may take jobs; zero: anybody may.
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

    /// @notice The administrator sets the terms of jobs requested from now on, each field within its bounds. There can be 256 of them;
    /// then deploy a new contract.
    function setTerms(Terms calldata next) external;

    /// @notice A pauser stops `request` and `process`, or lets them go on.
    function setPaused(bool next) external;

    /// @notice Whether request and process are blocked; every exit stays open.
    function paused() external view returns (bool);
    /// @notice Number of the terms new jobs get.
    function currentTerms() external view returns (uint8);

    /// @notice A job as it is now; state NONE if there never was one.
    function jobs(bytes16 jobId) external view returns (Job memory);
    /// @notice The rules by their number; a job names the one it was requested under.
    function terms(uint8 termsId) external view returns (Terms memory);
    /// @notice The id `request` gives. `specHash` is keccak256 of (keccak256(dataset), keccak256(params), fee, fuelLimit, deadline).
    function computeJobId(address requester, bytes32 salt, bytes32 specHash) external view returns (bytes16);

    /// @notice What `submit` stores of a result: the first 20 bytes of keccak256(resultHash, payoutRoot).
    function commit(bytes32 resultHash, bytes32 payoutRoot) external pure returns (bytes20);
}
