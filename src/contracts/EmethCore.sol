// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {CreditBook} from "./CreditBook.sol";
import {Governed} from "./Governed.sol";
import {IEmethCore} from "./interfaces/IEmethCore.sol";
import {IRewardPool} from "./interfaces/IRewardPool.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {PayoutTree} from "./PayoutTree.sol";

/// @title The escrow of Emeth jobs
/// @dev Jobs move only along the table in `IEmethCore`; each function names the state it leaves.
contract EmethCore is IEmethCore, CreditBook, Governed, EIP712 {
    using SafeERC20 for IERC20;

    bytes32 private constant ATTESTATION =
        keccak256("Attestation(bytes16 jobId,bytes20 commitment,bool accepted,bytes32 reasonHash)");
    uint256 private constant MAX_PAYEES = 16;

    /// @dev Two words at the request, a third from `submit` on.
    struct PackedJob {
        address requester;
        uint96 fee;
        address node;
        uint40 fuelLimit;
        uint40 deadline;
        uint8 termsId;
        State state;
        uint96 payout;
        bytes20 commitment;
    }

    mapping(bytes16 jobId => PackedJob) private _jobs;
    mapping(bytes16 jobId => mapping(uint256 word => uint256 bits)) private _claimed;

    constructor(IERC20 token_, address admin, Terms memory firstTerms)
        CreditBook(token_)
        Governed(admin, firstTerms)
        EIP712("EmethCore", "1")
    {}

    // ------------------------------------------------------------------------------------------------ requesters

    /// @inheritdoc IEmethCore
    function request(string calldata dataset, string calldata params, uint96 fee, uint40 fuelLimit, uint40 deadline, bytes32 salt)
        public
        nonReentrant
        returns (bytes16 jobId)
    {
        // Check: the request keeps to the terms of the day.
        if (paused) revert EmethCore_Paused();
        uint8 termsId = currentTerms;
        Terms memory rules = _terms[termsId];
        if (fee < rules.minFee) revert EmethCore_FeeTooLow(fee, rules.minFee);
        if (fuelLimit == 0) revert EmethCore_NoFuel();
        uint256 earliest = block.timestamp + rules.minWork;
        if (deadline < earliest) revert EmethCore_DeadlineTooNear(deadline, earliest);
        jobId = computeJobId(msg.sender, salt, _specHash(dataset, params, fee, fuelLimit, deadline));
        PackedJob storage job = _jobs[jobId];
        if (job.state != State.NONE) revert EmethCore_JobExists(jobId);

        // Effect.
        (job.requester, job.fee) = (msg.sender, fee);
        (job.fuelLimit, job.deadline, job.termsId, job.state) = (fuelLimit, deadline, termsId, State.REQUESTED);
        uint96 verifierFee = _part(fee, rules.verifierBps);
        emit JobRequested(jobId, msg.sender, fee, verifierFee, fuelLimit, deadline, termsId, dataset, params);

        // Interaction.
        _collect(msg.sender, uint256(fee) + verifierFee);
    }

    /// @inheritdoc IEmethCore
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
    ) external returns (bytes16 jobId) {
        // Interaction: somebody else may have used the permit already; then the allowance it gave is there.
        try IERC20Permit(address(token)).permit(msg.sender, address(this), permitValue, permitDeadline, v, r, s) {} catch {}
        return request(dataset, params, fee, fuelLimit, deadline, salt);
    }

    /// @inheritdoc IEmethCore
    function cancel(bytes16 jobId) external {
        PackedJob storage job = _in(jobId, State.REQUESTED);
        // Check: it is the caller's own.
        if (msg.sender != job.requester) revert EmethCore_NotRequester(jobId, msg.sender);
        // Effect.
        job.state = State.CANCELED;
        emit JobCanceled(jobId, _refundAll(job));
    }

    /// @inheritdoc IEmethCore
    function expire(bytes16 jobId) external {
        PackedJob storage job = _in(jobId, State.REQUESTED);
        // Check: its time is over.
        if (block.timestamp <= job.deadline) revert EmethCore_TooEarly(jobId, job.deadline);
        // Effect.
        job.state = State.TIMEOUT;
        emit JobExpired(jobId, _refundAll(job));
    }

    /// @inheritdoc IEmethCore
    function accept(bytes16 jobId) external {
        PackedJob storage job = _in(jobId, State.SUBMITTED);
        // Check: the requester accepts for itself only.
        if (msg.sender != job.requester) revert EmethCore_NotRequester(jobId, msg.sender);
        // Effect: nobody verified, so the verifier's fee goes back.
        _settle(jobId, job, 1, address(0));
    }

    // ----------------------------------------------------------------------------------------------------- nodes

    /// @inheritdoc IEmethCore
    function process(bytes16 jobId) external nonReentrant {
        PackedJob storage job = _in(jobId, State.REQUESTED);
        // Check: in time, by somebody who may.
        if (paused) revert EmethCore_Paused();
        if (block.timestamp > job.deadline) revert EmethCore_DeadlinePassed(jobId, job.deadline);
        INodeRegistry nodes = registry;
        if (address(nodes) != address(0) && !nodes.isActive(msg.sender)) revert EmethCore_NodeNotActive(msg.sender);
        // Effect.
        (job.node, job.state) = (msg.sender, State.PROCESSING);
        uint256 fee = job.fee;
        emit JobProcessing(jobId, msg.sender, fee);
        // Interaction.
        _collect(msg.sender, fee);
    }

    /// @inheritdoc IEmethCore
    function decline(bytes16 jobId) external nonReentrant {
        PackedJob storage job = _in(jobId, State.PROCESSING);
        // Check: its node, while the job is still its.
        if (msg.sender != job.node) revert EmethCore_NotNode(jobId, msg.sender);
        if (block.timestamp > job.deadline) revert EmethCore_DeadlinePassed(jobId, job.deadline);
        // Effect: back to the queue while there is time enough for another node.
        Terms memory rules = _terms[job.termsId];
        bool reopened = block.timestamp + rules.minWork <= job.deadline;
        uint96 penalty = _part(job.fee, rules.declineBps);
        uint256 returned = job.fee - penalty;
        (job.node, job.state) = (address(0), reopened ? State.REQUESTED : State.DECLINED);
        _owe(msg.sender, returned);
        uint256 refund = reopened ? 0 : _refundAll(job);
        emit JobDeclined(jobId, msg.sender, reopened, returned, penalty, refund);
        // Interaction.
        _dispose(jobId, penalty);
    }

    /// @inheritdoc IEmethCore
    function submit(bytes16 jobId, bytes32 resultHash, uint40 fuelUsed, bytes32 payoutRoot, string calldata result) external {
        PackedJob storage job = _in(jobId, State.PROCESSING);
        // Check: its node, in time, within the fuel that was bought.
        if (msg.sender != job.node) revert EmethCore_NotNode(jobId, msg.sender);
        if (block.timestamp > job.deadline) revert EmethCore_DeadlinePassed(jobId, job.deadline);
        if (fuelUsed > job.fuelLimit) revert EmethCore_FuelAboveLimit(jobId, fuelUsed, job.fuelLimit);
        // Effect.
        uint40 windowEnds = uint40(block.timestamp) + _terms[job.termsId].verdictWindow;
        // The product fits: 96 + 40 bits. The quotient is at most the fee.
        uint96 payout = uint96(uint256(job.fee) * fuelUsed / job.fuelLimit);
        (job.payout, job.commitment) = (payout, commit(resultHash, payoutRoot));
        (job.deadline, job.state) = (windowEnds, State.SUBMITTED);
        emit JobSubmitted(jobId, msg.sender, resultHash, payoutRoot, fuelUsed, payout, windowEnds, result);
    }

    /// @inheritdoc IEmethCore
    function sweepUnclaimed(bytes16 jobId) external {
        PackedJob storage job = _in(jobId, State.VERIFIED);
        // Check: everybody had the time to claim.
        if (msg.sender != job.node) revert EmethCore_NotNode(jobId, msg.sender);
        if (block.timestamp <= job.deadline) revert EmethCore_TooEarly(jobId, job.deadline);
        // Effect.
        uint256 amount = job.payout;
        job.payout = 0;
        _owe(msg.sender, amount);
        emit PaySwept(jobId, msg.sender, amount);
    }

    // ------------------------------------------------------------------------------------------------- verifiers

    /// @inheritdoc IEmethCore
    function verify(bytes16 jobId, bytes32 resultHash, bytes32 payoutRoot, bytes[] calldata attestations) external {
        PackedJob storage job = _in(jobId, State.SUBMITTED);
        // Check: this result, by enough verifiers.
        _requireQuorum(jobId, _requireResult(jobId, job, resultHash, payoutRoot), true, bytes32(0), attestations);
        // Effect.
        _settle(jobId, job, 0, msg.sender);
    }

    /// @inheritdoc IEmethCore
    function rejectResult(bytes16 jobId, bytes32 resultHash, bytes32 payoutRoot, bytes32 reasonHash, bytes[] calldata attestations)
        external
        nonReentrant
    {
        PackedJob storage job = _in(jobId, State.SUBMITTED);
        // Check: this result, by enough verifiers, in the window.
        if (block.timestamp > job.deadline) revert EmethCore_DeadlinePassed(jobId, job.deadline);
        _requireQuorum(jobId, _requireResult(jobId, job, resultHash, payoutRoot), false, reasonHash, attestations);
        // Effect: the verifier earns the same as for accepting; the node pays for it, the requester loses nothing.
        Terms memory rules = _terms[job.termsId];
        uint96 verifierFee = _part(job.fee, rules.verifierBps);
        uint96 penalty = _part(job.fee, rules.penaltyBps);
        uint256 fromPenalty = verifierFee < penalty / 2 ? verifierFee : penalty / 2;
        uint256 refund = uint256(job.fee) + fromPenalty;
        uint256 returned = job.fee - penalty;
        (job.state, job.payout) = (State.FAILED, 0);
        _owe(job.requester, refund);
        _owe(job.node, returned);
        _owe(msg.sender, verifierFee);
        emit JobRejected(jobId, reasonHash, refund, returned, penalty - fromPenalty, msg.sender, verifierFee);
        // Interaction.
        _dispose(jobId, penalty - fromPenalty);
    }

    // ---------------------------------------------------------------------------------------------------- anybody

    /// @inheritdoc IEmethCore
    function timeout(bytes16 jobId) external nonReentrant {
        PackedJob storage job = _in(jobId, State.PROCESSING);
        // Check: the node's time is over.
        if (block.timestamp <= job.deadline) revert EmethCore_TooEarly(jobId, job.deadline);
        // Effect.
        Terms memory rules = _terms[job.termsId];
        uint96 penalty = _part(job.fee, rules.penaltyBps);
        uint96 tip = _part(penalty, rules.tipBps);
        uint256 returned = job.fee - penalty;
        job.state = State.TIMEOUT;
        uint256 refund = _refundAll(job);
        _owe(job.node, returned);
        _owe(msg.sender, tip);
        emit JobTimedOut(jobId, job.node, refund, returned, penalty - tip, msg.sender, tip);
        // Interaction.
        _dispose(jobId, penalty - tip);
    }

    /// @inheritdoc IEmethCore
    function finalize(bytes16 jobId) external {
        PackedJob storage job = _in(jobId, State.SUBMITTED);
        // Check: no verdict came in its window.
        if (block.timestamp <= job.deadline) revert EmethCore_TooEarly(jobId, job.deadline);
        // Effect.
        _settle(jobId, job, 2, address(0));
    }

    /// @inheritdoc IEmethCore
    function payWorkers(bytes16 jobId, bytes32 resultHash, Payee[] calldata payees) external {
        PackedJob storage job = _in(jobId, State.VERIFIED);
        // Check: the whole list, and nothing of it was claimed one by one.
        if (payees.length > MAX_PAYEES) revert EmethCore_TooManyPayees(payees.length);
        (bytes32 root, uint256 sum) = PayoutTree.rootOf(payees);
        _requireResult(jobId, job, resultHash, root);
        if (sum != job.payout || _claimed[jobId][0] != 0) revert EmethCore_WrongPayout(jobId, sum, job.payout);
        // Effect.
        job.payout = 0;
        _claimed[jobId][0] = (1 << payees.length) - 1;
        for (uint256 i = 0; i < payees.length; ++i) {
            _owe(payees[i].worker, payees[i].amount);
            emit WorkerPaid(jobId, payees[i].worker, i, payees[i].amount);
        }
    }

    /// @inheritdoc IEmethCore
    function claimPay(
        bytes16 jobId,
        bytes32 resultHash,
        bytes32 payoutRoot,
        uint256 index,
        address worker,
        uint96 amount,
        bytes32[] calldata proof
    ) external {
        PackedJob storage job = _in(jobId, State.VERIFIED);
        // Check: in the tree, not paid yet, and covered by what is left.
        _requireResult(jobId, job, resultHash, payoutRoot);
        (uint256 word, uint256 bit) = (index >> 8, 1 << (index & 0xff));
        if (_claimed[jobId][word] & bit != 0) revert EmethCore_AlreadyClaimed(jobId, index);
        if (!MerkleProof.verifyCalldata(proof, payoutRoot, PayoutTree.leaf(index, worker, amount))) {
            revert EmethCore_WrongProof(jobId, index);
        }
        if (amount > job.payout) revert EmethCore_WrongPayout(jobId, amount, job.payout);
        // Effect.
        _claimed[jobId][word] |= bit;
        job.payout -= amount;
        _owe(worker, amount);
        emit WorkerPaid(jobId, worker, index, amount);
    }

    // ------------------------------------------------------------------------------------------------------ views

    /// @inheritdoc IEmethCore
    function jobs(bytes16 jobId) external view returns (Job memory) {
        PackedJob storage job = _jobs[jobId];
        return Job(
            job.state, job.requester, job.node, job.fee, job.fuelLimit, job.deadline, job.termsId, job.payout, job.commitment
        );
    }

    /// @inheritdoc IEmethCore
    function computeJobId(address requester, bytes32 salt, bytes32 specHash) public view returns (bytes16) {
        return bytes16(keccak256(abi.encode(block.chainid, address(this), requester, salt, specHash)));
    }

    /// @notice What `submit` stores of a result: the first 20 bytes of keccak256(resultHash, payoutRoot).
    function commit(bytes32 resultHash, bytes32 payoutRoot) public pure returns (bytes20) {
        return bytes20(keccak256(abi.encode(resultHash, payoutRoot)));
    }

    // ---------------------------------------------------------------------------------------------------- internal

    /// @dev The result stands: payout for node and workers, the unused fee and perhaps the verifier's back to the requester, the
    /// deposit back to the node. A zero `verifier` earned nothing.
    function _settle(bytes16 jobId, PackedJob storage job, uint8 verdict, address verifier) private {
        Terms memory rules = _terms[job.termsId];
        uint96 verifierFee = _part(job.fee, rules.verifierBps);
        uint256 payout = job.payout;
        uint256 refund = job.fee - payout + (verifier == address(0) ? verifierFee : 0);
        (job.deadline, job.state) = (uint40(block.timestamp) + rules.claimWindow, State.VERIFIED);
        _owe(job.requester, refund);
        _owe(job.node, job.fee);
        if (verifier != address(0)) _owe(verifier, verifierFee);
        emit JobVerified(jobId, verdict, payout, refund, job.fee, verifier, verifier == address(0) ? 0 : verifierFee);
    }

    function _refundAll(PackedJob storage job) private returns (uint256 refund) {
        refund = uint256(job.fee) + _part(job.fee, _terms[job.termsId].verifierBps);
        _owe(job.requester, refund);
    }

    /// @dev What nobody is owed goes to the reward pool, or is burnt. Never to a party: that would pay for baiting others.
    function _dispose(bytes16 jobId, uint256 amount) private {
        if (amount == 0) return;
        IRewardPool pool = rewardPool;
        if (address(pool) == address(0)) {
            ERC20Burnable(address(token)).burn(amount);
        } else {
            token.safeTransfer(address(pool), amount);
            pool.onPenalty(jobId, amount);
        }
    }

    function _requireResult(bytes16 jobId, PackedJob storage job, bytes32 resultHash, bytes32 payoutRoot)
        private
        view
        returns (bytes20 commitment)
    {
        commitment = commit(resultHash, payoutRoot);
        if (commitment != job.commitment) revert EmethCore_WrongResult(jobId, commitment);
    }

    /// @dev A calling verifier counts for one; the others sign. Signers ascend, so none counts twice.
    function _requireQuorum(bytes16 jobId, bytes20 commitment, bool accepted, bytes32 reasonHash, bytes[] calldata attestations)
        private
        view
    {
        uint256 count = hasRole(VERIFIER_ROLE, msg.sender) ? 1 : 0;
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(ATTESTATION, jobId, commitment, accepted, reasonHash)));
        address before = address(0);
        for (uint256 i = 0; i < attestations.length; ++i) {
            address signer = ECDSA.recoverCalldata(digest, attestations[i]);
            if (signer <= before) revert EmethCore_AttestationsNotSorted(before, signer);
            if (!hasRole(VERIFIER_ROLE, signer)) revert EmethCore_NotVerifier(signer);
            if (signer != msg.sender) ++count;
            before = signer;
        }
        if (count == 0) revert EmethCore_NotVerifier(msg.sender);
        if (count < quorum) revert EmethCore_QuorumNotReached(count, quorum);
    }

    function _in(bytes16 jobId, State needed) private view returns (PackedJob storage job) {
        job = _jobs[jobId];
        if (job.state != needed) revert EmethCore_WrongState(jobId, job.state, needed);
    }

    function _specHash(string calldata dataset, string calldata params, uint96 fee, uint40 fuelLimit, uint40 deadline)
        private
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(keccak256(bytes(dataset)), keccak256(bytes(params)), fee, fuelLimit, deadline));
    }

    /// @dev `bps` basis points of `amount`, rounded down; `bps` is at most 10,000, so it fits.
    function _part(uint96 amount, uint16 bps) private pure returns (uint96) {
        return uint96(uint256(amount) * bps / BPS);
    }
}
