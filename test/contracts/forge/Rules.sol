// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {RESULT} from "./Crowd.sol";
import {Outcome, Outcomes} from "./Outcome.sol";
import {vm} from "./Vm.sol";

/// @notice The rules of a job, written a second time from the documentation and not from the contracts: which
/// state may follow which, who may end a job and when, what a job holds, and what each call brings to whom.
library Rules {
    // -------------------------------------------------------------------------------------------------------- states

    function mayFollow(IEmethCore.State from, IEmethCore.State to) internal pure returns (bool) {
        if (from == to) return true;
        // Bit n: state n may follow.
        uint16[11] memory next;
        next[uint8(IEmethCore.State.NONE)] = _bits(IEmethCore.State.REQUESTED, IEmethCore.State.REQUESTED);
        next[uint8(IEmethCore.State.REQUESTED)] = _bits(IEmethCore.State.CANCELED, IEmethCore.State.TIMEOUT)
            | _bits(IEmethCore.State.PROCESSING, IEmethCore.State.PROCESSING);
        next[uint8(IEmethCore.State.PROCESSING)] = _bits(IEmethCore.State.REQUESTED, IEmethCore.State.DECLINED)
            | _bits(IEmethCore.State.TIMEOUT, IEmethCore.State.SUBMITTED);
        next[uint8(IEmethCore.State.SUBMITTED)] = _bits(IEmethCore.State.VERIFIED, IEmethCore.State.FAILED)
            | _bits(IEmethCore.State.DISPUTED, IEmethCore.State.DISPUTED);
        next[uint8(IEmethCore.State.DISPUTED)] = _bits(IEmethCore.State.VERIFIED, IEmethCore.State.FAILED)
            | _bits(IEmethCore.State.UNVERIFIED, IEmethCore.State.UNVERIFIED);
        return next[uint8(from)] & _bits(to, to) != 0;
    }

    /// @notice Whether the job ended without a result, so that the escrow keeps nothing of it but the state
    /// and the challenger.
    function isBare(IEmethCore.State state) internal pure returns (bool) {
        return state > IEmethCore.State.VERIFIED && state != IEmethCore.State.DISPUTED;
    }

    /// @notice The calls that take a job and nothing else, and whether `by` may make the call now.
    /// @param kind 0 cancel, 1 expire, 2 decline, 3 timeout, 4 accept, 5 finalize, 6 challenge, 7 unwind,
    /// else sweepUnclaimed.
    function exit(uint256 kind, IEmethCore.Job memory job, address by) internal view returns (bytes4 selector, bool isOpen) {
        bool isOver = _now() > job.deadline;
        (bool isRequested, bool isProcessing) =
            (job.state == IEmethCore.State.REQUESTED, job.state == IEmethCore.State.PROCESSING);
        bool isSubmitted = job.state == IEmethCore.State.SUBMITTED;
        if (kind == 0) return (IEmethCore.cancel.selector, isRequested && by == job.requester);
        if (kind == 1) return (IEmethCore.expire.selector, isRequested && isOver);
        if (kind == 2) return (IEmethCore.decline.selector, isProcessing && by == job.node && !isOver);
        if (kind == 3) return (IEmethCore.timeout.selector, isProcessing && isOver);
        if (kind == 4) return (IEmethCore.accept.selector, isSubmitted && by == job.requester);
        if (kind == 5) return (IEmethCore.finalize.selector, isSubmitted && isOver);
        if (kind == 6) return (IEmethCore.challenge.selector, isSubmitted && !isOver);
        if (kind == 7) return (IEmethCore.unwind.selector, job.state == IEmethCore.State.DISPUTED && isOver);
        return (IEmethCore.sweepUnclaimed.selector, job.state == IEmethCore.State.VERIFIED && by == job.node && isOver);
    }

    /// @notice The call that ends the job once its window is over; zero if nothing is left to end.
    /// @param anybody Makes the call wherever the rules do not ask for the node.
    function lastCall(IEmethCore.Job memory job, address anybody) internal view returns (bytes4 selector, address by) {
        if (job.state == IEmethCore.State.REQUESTED) return (IEmethCore.expire.selector, anybody);
        if (job.state == IEmethCore.State.PROCESSING) return (IEmethCore.timeout.selector, anybody);
        if (job.state == IEmethCore.State.SUBMITTED) return (IEmethCore.finalize.selector, anybody);
        if (job.state == IEmethCore.State.DISPUTED) return (IEmethCore.unwind.selector, anybody);
        bool isLeft = job.state == IEmethCore.State.VERIFIED && job.payout > 0 && _now() > job.deadline;
        return isLeft ? (IEmethCore.sweepUnclaimed.selector, job.node) : (bytes4(0), anybody);
    }

    // --------------------------------------------------------------------------------------------------------- money

    /// @notice What a job holds, by the terms it was requested under.
    function locked(IEmethCore.Job memory job, IEmethCore.Terms memory rules) internal pure returns (uint256) {
        uint256 requested = _requested(job, rules);
        if (job.state == IEmethCore.State.REQUESTED) return requested;
        if (job.state == IEmethCore.State.PROCESSING || job.state == IEmethCore.State.SUBMITTED) return requested + job.fee;
        if (job.state == IEmethCore.State.DISPUTED) return requested + job.fee + _share(job.fee, rules.penaltyBps);
        return job.state == IEmethCore.State.VERIFIED ? job.payout : 0;
    }

    /// @notice What a result pays for the fuel it used.
    function payoutOf(IEmethCore.Job memory job, uint256 fuelUsed) internal pure returns (uint96) {
        return job.fuelLimit == 0 ? 0 : uint96(uint256(job.fee) * fuelUsed / job.fuelLimit);
    }

    /// @notice A line of a payout list as a leaf of its tree, without the contracts' own library.
    function leaf(uint256 index, address worker, uint96 amount) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(index, worker, amount))));
    }

    function commitment(bytes32 root) internal pure returns (bytes20) {
        return bytes20(keccak256(abi.encode(RESULT, root)));
    }

    // ------------------------------------------------------------------------------------------------------ outcomes

    /// @param job The job as the request describes it.
    function request(IEmethCore.Job memory job, IEmethCore.Terms memory rules) internal pure returns (Outcome memory outcome) {
        (outcome, job) = (Outcomes.none(), _copy(job));
        job.state = IEmethCore.State.REQUESTED;
        outcome.pays(job.requester, _requested(job, rules));
        _becomes(outcome, job);
    }

    /// @notice What one of the calls that take a job and nothing else brings.
    function plain(bytes4 act, address by, IEmethCore.Job memory job, IEmethCore.Terms memory rules)
        internal
        view
        returns (Outcome memory outcome)
    {
        (outcome, job) = (Outcomes.none(), _copy(job));
        if (act == IEmethCore.cancel.selector) _refund(outcome, job, rules, IEmethCore.State.CANCELED);
        else if (act == IEmethCore.expire.selector) _refund(outcome, job, rules, IEmethCore.State.TIMEOUT);
        else if (act == IEmethCore.process.selector) _process(outcome, job, by);
        else if (act == IEmethCore.decline.selector) _decline(outcome, job, rules);
        else if (act == IEmethCore.timeout.selector) _timeout(outcome, job, rules, by);
        else if (act == IEmethCore.challenge.selector) _challenge(outcome, job, rules, by);
        else if (act == IEmethCore.unwind.selector) _unwind(outcome, job, rules);
        else if (act == IEmethCore.sweepUnclaimed.selector) _pay(outcome, job, by, job.payout);
        else _verified(outcome, job, rules, address(0));
    }

    function submit(IEmethCore.Job memory job, IEmethCore.Terms memory rules, uint256 fuelUsed, bytes32 root)
        internal
        view
        returns (Outcome memory outcome)
    {
        (outcome, job) = (Outcomes.none(), _copy(job));
        (job.payout, job.commitment) = (payoutOf(job, fuelUsed), commitment(root));
        (job.deadline, job.state) = (uint40(_now()) + rules.verdictWindow, IEmethCore.State.SUBMITTED);
        _becomes(outcome, job);
    }

    /// @param verifier Earns the verifier's fee.
    function verdict(IEmethCore.Job memory job, IEmethCore.Terms memory rules, bool isGood, address verifier)
        internal
        view
        returns (Outcome memory outcome)
    {
        (outcome, job) = (Outcomes.none(), _copy(job));
        if (isGood) _verified(outcome, job, rules, verifier);
        else _rejected(outcome, job, rules, verifier);
    }

    /// @notice Out of a verified job's payout.
    function pay(IEmethCore.Job memory job, address worker, uint96 amount) internal pure returns (Outcome memory outcome) {
        (outcome, job) = (Outcomes.none(), _copy(job));
        _pay(outcome, job, worker, amount);
    }

    function _process(Outcome memory outcome, IEmethCore.Job memory job, address by) private pure {
        outcome.pays(by, job.fee);
        (job.node, job.state) = (by, IEmethCore.State.PROCESSING);
        _becomes(outcome, job);
    }

    /// @dev While there is time for another node it costs less, and the job is open again.
    function _decline(Outcome memory outcome, IEmethCore.Job memory job, IEmethCore.Terms memory rules) private view {
        bool isOpen = _now() + rules.minWork <= job.deadline;
        uint256 penalty = _share(job.fee, isOpen ? rules.declineBps : rules.penaltyBps);
        outcome.gets(job.node, job.fee - penalty);
        outcome.forfeits(job.node, penalty);
        if (!isOpen) return _refund(outcome, job, rules, IEmethCore.State.DECLINED);
        (job.node, job.state) = (address(0), IEmethCore.State.REQUESTED);
        _becomes(outcome, job);
    }

    function _timeout(Outcome memory outcome, IEmethCore.Job memory job, IEmethCore.Terms memory rules, address by) private pure {
        uint256 penalty = _share(job.fee, rules.penaltyBps);
        uint256 tip = _share(penalty, rules.tipBps);
        outcome.gets(job.node, job.fee - penalty);
        outcome.forfeits(job.node, penalty - tip);
        outcome.gets(by, tip);
        _refund(outcome, job, rules, IEmethCore.State.TIMEOUT);
    }

    function _challenge(Outcome memory outcome, IEmethCore.Job memory job, IEmethCore.Terms memory rules, address by) private view {
        outcome.pays(by, _share(job.fee, rules.penaltyBps));
        (job.deadline, job.state) = (uint40(_now()) + rules.verdictWindow, IEmethCore.State.DISPUTED);
        job.challenger = by;
        _becomes(outcome, job);
    }

    /// @dev Nobody was proved wrong, so everybody gets back what it put in.
    function _unwind(Outcome memory outcome, IEmethCore.Job memory job, IEmethCore.Terms memory rules) private pure {
        outcome.gets(job.node, job.fee);
        outcome.gets(job.challenger, _share(job.fee, rules.penaltyBps));
        _refund(outcome, job, rules, IEmethCore.State.UNVERIFIED);
    }

    /// @dev The result stands. A challenger was wrong: the node gets half of the bond, and the rest is burnt.
    function _verified(Outcome memory outcome, IEmethCore.Job memory job, IEmethCore.Terms memory rules, address verifier)
        private
        view
    {
        uint256 earned = verifier == address(0) ? 0 : _share(job.fee, rules.verifierBps);
        uint256 burnt = _share(job.payout, rules.burnBps);
        outcome.gets(verifier, earned);
        outcome.gets(job.requester, _requested(job, rules) - job.payout - earned - burnt);
        outcome.gets(job.node, job.fee);
        outcome.forfeits(job.node, burnt);
        if (job.state == IEmethCore.State.DISPUTED) {
            uint256 bond = _share(job.fee, rules.penaltyBps);
            outcome.gets(job.node, bond / 2);
            outcome.forfeits(job.challenger, bond - bond / 2);
        }
        (job.deadline, job.state) = (uint40(_now()) + rules.claimWindow, IEmethCore.State.VERIFIED);
        _becomes(outcome, job);
    }

    /// @dev The node's penalty pays the verifier, and a quarter of it goes to a challenger besides the bond;
    /// the rest is burnt.
    function _rejected(Outcome memory outcome, IEmethCore.Job memory job, IEmethCore.Terms memory rules, address verifier)
        private
        pure
    {
        uint256 penalty = _share(job.fee, rules.penaltyBps);
        uint256 earned = _share(job.fee, rules.verifierBps);
        bool isDisputed = job.state == IEmethCore.State.DISPUTED;
        uint256 reward = isDisputed ? penalty / 4 : 0;
        outcome.gets(verifier, earned);
        outcome.gets(job.node, job.fee - penalty);
        outcome.forfeits(job.node, penalty - earned - reward);
        if (isDisputed) outcome.gets(job.challenger, penalty + reward);
        _refund(outcome, job, rules, IEmethCore.State.FAILED);
    }

    function _pay(Outcome memory outcome, IEmethCore.Job memory job, address worker, uint96 amount) private pure {
        outcome.gets(worker, amount);
        job.payout -= amount;
        _becomes(outcome, job);
    }

    /// @dev The requester gets back all it put in, and the escrow keeps only how the job ended and who
    /// challenged it.
    function _refund(Outcome memory outcome, IEmethCore.Job memory job, IEmethCore.Terms memory rules, IEmethCore.State end)
        private
        pure
    {
        outcome.gets(job.requester, _requested(job, rules));
        IEmethCore.Job memory ended;
        (ended.state, ended.challenger) = (end, job.challenger);
        _becomes(outcome, ended);
    }

    function _becomes(Outcome memory outcome, IEmethCore.Job memory job) private pure {
        outcome.job = keccak256(abi.encode(job));
    }

    /// @dev Structs in memory are shared with the caller, which may still need the job as it was.
    function _copy(IEmethCore.Job memory job) private pure returns (IEmethCore.Job memory) {
        return abi.decode(abi.encode(job), (IEmethCore.Job));
    }

    function _requested(IEmethCore.Job memory job, IEmethCore.Terms memory rules) private pure returns (uint256) {
        uint256 fee = job.fee;
        return fee + _share(fee, rules.verifierBps) + _share(fee, rules.burnBps);
    }

    function _share(uint256 amount, uint256 bps) private pure returns (uint256) {
        return amount * bps / 10_000;
    }

    function _bits(IEmethCore.State a, IEmethCore.State b) private pure returns (uint16) {
        return uint16((1 << uint8(a)) | (1 << uint8(b)));
    }

    /// @dev The optimizer takes `block.timestamp` to be the same throughout a call.
    function _now() private view returns (uint256) {
        return vm.getBlockTimestamp();
    }
}
