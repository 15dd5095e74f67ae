// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {Books} from "./Books.sol";

/// @notice Who gets what at each step of a job, by the rules in plain words, and what the job is afterwards.
abstract contract Outcomes is Books {
    function _foreseeRequest(bytes16 jobId, IEmethCore.Job memory job, IEmethCore.Terms memory rules) internal {
        job.termsId = _core.currentTerms();
        job.challenger = _core.jobs(jobId).challenger;
        job.state = IEmethCore.State.REQUESTED;
        _pays(job.requester, _requested(job, rules));
        _becomes(job);
    }

    /// @dev Of all calls that take a job and nothing else.
    function _foresee(bytes4 act, address by, bytes16 jobId, IEmethCore.Terms memory rules) internal {
        IEmethCore.Job memory job = _core.jobs(jobId);
        if (act == _core.cancel.selector) return _refund(job, rules, IEmethCore.State.CANCELED);
        if (act == _core.expire.selector) return _refund(job, rules, IEmethCore.State.TIMEOUT);
        if (act == _core.process.selector) return _foreseeProcess(job, by);
        if (act == _core.decline.selector) return _foreseeDecline(job, rules);
        if (act == _core.timeout.selector) return _foreseeTimeout(job, rules, by);
        if (act == _core.challenge.selector) return _foreseeChallenge(job, rules, by);
        if (act == _core.unwind.selector) return _foreseeUnwind(job, rules);
        if (act == _core.sweepUnclaimed.selector) return _foreseePay(jobId, by, job.payout);
        _foreseeVerified(job, rules, address(0));
    }

    function _foreseeProcess(IEmethCore.Job memory job, address by) private {
        _pays(by, job.fee);
        (job.node, job.state) = (by, IEmethCore.State.PROCESSING);
        _becomes(job);
    }

    /// @dev While there is time for another node it costs less, and the job is open again.
    function _foreseeDecline(IEmethCore.Job memory job, IEmethCore.Terms memory rules) private {
        bool isOpen = _now() + rules.minWork <= job.deadline;
        uint256 penalty = _share(job.fee, isOpen ? rules.declineBps : rules.penaltyBps);
        _gets(job.node, job.fee - penalty);
        _forfeits(job.node, penalty);
        if (!isOpen) return _refund(job, rules, IEmethCore.State.DECLINED);
        (job.node, job.state) = (address(0), IEmethCore.State.REQUESTED);
        _becomes(job);
    }

    function _foreseeTimeout(IEmethCore.Job memory job, IEmethCore.Terms memory rules, address by) private {
        uint256 penalty = _share(job.fee, rules.penaltyBps);
        uint256 tip = _share(penalty, rules.tipBps);
        _gets(job.node, job.fee - penalty);
        _forfeits(job.node, penalty - tip);
        _gets(by, tip);
        _refund(job, rules, IEmethCore.State.TIMEOUT);
    }

    function _foreseeSubmit(bytes16 jobId, uint96 payout, bytes20 commitment, IEmethCore.Terms memory rules) internal {
        IEmethCore.Job memory job = _core.jobs(jobId);
        (job.payout, job.commitment) = (payout, commitment);
        (job.deadline, job.state) = (uint40(_now()) + rules.verdictWindow, IEmethCore.State.SUBMITTED);
        _becomes(job);
    }

    function _foreseeChallenge(IEmethCore.Job memory job, IEmethCore.Terms memory rules, address by) private {
        _pays(by, _share(job.fee, rules.penaltyBps));
        (job.deadline, job.state) = (uint40(_now()) + rules.verdictWindow, IEmethCore.State.DISPUTED);
        job.challenger = by;
        _becomes(job);
    }

    /// @dev Nobody was proved wrong, so everybody gets back what it put in.
    function _foreseeUnwind(IEmethCore.Job memory job, IEmethCore.Terms memory rules) private {
        _gets(job.node, job.fee);
        _gets(job.challenger, _share(job.fee, rules.penaltyBps));
        _refund(job, rules, IEmethCore.State.UNVERIFIED);
    }

    /// @param verifier Who earns the verifiers' fee.
    function _foreseeVerdict(bytes16 jobId, bool isGood, address verifier, IEmethCore.Terms memory rules) internal {
        IEmethCore.Job memory job = _core.jobs(jobId);
        if (isGood) _foreseeVerified(job, rules, verifier);
        else _foreseeRejected(job, rules, verifier);
    }

    /// @dev The result stands. A challenger was wrong then: half its bond is the node's, the rest nobody's.
    function _foreseeVerified(IEmethCore.Job memory job, IEmethCore.Terms memory rules, address verifier) private {
        uint256 earned = verifier == address(0) ? 0 : _share(job.fee, rules.verifierBps);
        uint256 burnt = _share(job.payout, rules.burnBps);
        _gets(verifier, earned);
        _gets(job.requester, _requested(job, rules) - job.payout - earned - burnt);
        _gets(job.node, job.fee);
        _forfeits(job.node, burnt);
        if (job.state == IEmethCore.State.DISPUTED) {
            uint256 bond = _share(job.fee, rules.penaltyBps);
            _gets(job.node, bond / 2);
            _forfeits(job.challenger, bond - bond / 2);
        }
        (job.deadline, job.state) = (uint40(_now()) + rules.claimWindow, IEmethCore.State.VERIFIED);
        _becomes(job);
    }

    /// @dev The node's penalty pays the verifier, and a quarter of it a challenger besides its bond; nobody gets the rest.
    function _foreseeRejected(IEmethCore.Job memory job, IEmethCore.Terms memory rules, address verifier) private {
        uint256 penalty = _share(job.fee, rules.penaltyBps);
        uint256 earned = _share(job.fee, rules.verifierBps);
        bool isDisputed = job.state == IEmethCore.State.DISPUTED;
        uint256 reward = isDisputed ? penalty / 4 : 0;
        _gets(verifier, earned);
        _gets(job.node, job.fee - penalty);
        _forfeits(job.node, penalty - earned - reward);
        if (isDisputed) _gets(job.challenger, penalty + reward);
        _refund(job, rules, IEmethCore.State.FAILED);
    }

    /// @dev Out of a verified job's payout.
    function _foreseePay(bytes16 jobId, address worker, uint96 amount) internal {
        IEmethCore.Job memory job = _core.jobs(jobId);
        _gets(worker, amount);
        job.payout -= amount;
        _becomes(job);
    }

    /// @dev The requester gets back all it put in, and of the job nothing is kept but how it ended and who challenged it.
    function _refund(IEmethCore.Job memory job, IEmethCore.Terms memory rules, IEmethCore.State end) private {
        _gets(job.requester, _requested(job, rules));
        IEmethCore.Job memory ended;
        (ended.state, ended.challenger) = (end, job.challenger);
        _becomes(ended);
    }

    function _requested(IEmethCore.Job memory job, IEmethCore.Terms memory rules) internal pure returns (uint256) {
        uint256 fee = job.fee;
        return fee + _share(fee, rules.verifierBps) + _share(fee, rules.burnBps);
    }

    function _share(uint256 amount, uint256 bps) internal pure returns (uint256) {
        return amount * bps / 10_000;
    }
}
