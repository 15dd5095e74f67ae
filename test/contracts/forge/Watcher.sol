// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {Outcomes} from "./Outcomes.sol";
import {vm} from "./Vm.sol";

/// @notice Keeps books of its own beside the escrow's, and after every call compares. The first thing that must never have happened
/// stays in `violation`, with the number of its invariant.
/// @dev What was seen after a call is what is expected before the next one: nobody else calls the contracts.
abstract contract Watcher is Outcomes {
    /// @dev What the rules say of a call.
    enum Word {
        MUST_FAIL,
        MAY_WORK,
        MUST_WORK
    }

    /// @dev What is known of a job that the escrow does not say, and how it was last seen.
    struct Ledger {
        IEmethCore.State state;
        /// What went into the job and has not come out.
        uint256 inside;
        bytes32 seen;
        IEmethCore.Terms rules;
        bytes32 rulesHash;
        /// What its workers have got.
        uint256 paid;
    }

    uint256 internal constant NO_JOB = type(uint256).max;

    string public violation;
    bytes16[] internal _ids;
    mapping(bytes16 jobId => Ledger) internal _ledgers;
    mapping(uint256 slot => uint256) internal _burntIn;
    mapping(uint256 slot => mapping(address node => uint256)) internal _burntBy;

    uint256 private _owedInAll;
    uint256 private _lockedInAll;

    // --------------------------------------------------------------------------------------------------- the call

    /// @dev `job` is the only one the call may change.
    function _call(address by, uint256 job, bytes memory data, Word word) internal returns (bool done) {
        done = _callFor(by, by, job, data, word);
    }

    /// @dev `payer` has agreed to pay, by its call or its signature.
    function _callFor(address by, address payer, uint256 job, bytes memory data, Word word) internal returns (bool done) {
        uint256 before = _token.balanceOf(address(_core));
        if (by != address(this)) vm.prank(by);
        (done,) = address(_core).call(data);
        _judge(done, word);
        // A call that failed changed nothing.
        if (!done) return _failed();
        _note(bytes4(data));
        _look(payer, job, before);
    }

    function _failed() internal returns (bool) {
        _forget();
        return false;
    }

    function _judge(bool done, Word word) internal {
        if (done && word == Word.MUST_FAIL) _accuse("3: a call went through that the rules forbid");
        if (!done && word == Word.MUST_WORK) _accuse("7: a way out was blocked");
    }

    function _accuse(string memory what) internal {
        if (bytes(violation).length == 0) violation = what;
    }

    /// @dev A job enters the books as it was requested, before `_look` sees its money.
    function _open(bytes16 jobId) internal {
        if (_ledgers[jobId].state != IEmethCore.State.NONE) _accuse("14: a job's id came twice");
        uint8 termsId = _core.currentTerms();
        _ids.push(jobId);
        _ledgers[jobId].rules = _core.terms(termsId);
        _ledgers[jobId].rulesHash = keccak256(_view(abi.encodeCall(_core.terms, (termsId))));
    }

    // -------------------------------------------------------------------------------------------------- the looking

    /// @param job The one that the call may change. @param before What the escrow had before the call.
    function _look(address payer, uint256 job, uint256 before) internal {
        uint256 inner = _inner();
        uint256 owedBefore = _owedInAll;
        uint256 lockedBefore = _lockedInAll;
        bool isExact = _isExact();
        _lookAtAccounts(payer, isExact);
        for (uint256 i = 0; i < _ids.length; ++i) _lookAtJob(i, i == job || i == inner, isExact && i == job);
        uint256 balance = _token.balanceOf(address(_core));
        if (balance + owedBefore + lockedBefore != before + _owedInAll + _lockedInAll) {
            _accuse("2: what a job took in or paid out is not what it has locked more or less");
        }
        if (balance != _owedInAll + _lockedInAll) _accuse("1: the balance is not what is owed");
        _forget();
    }

    /// @dev Not when the token called back: then more happened than was foreseen. Looking makes it so again.
    function _isExact() internal virtual returns (bool) {
        return true;
    }

    /// @dev What a call must do that takes tokens from somebody who has enough, as everybody here has.
    function _wordOfPulls() internal view virtual returns (Word) {
        return Word.MUST_WORK;
    }

    /// @dev Whether the token moves exactly what it is told.
    function _isPlain() internal view virtual returns (bool) {
        return true;
    }

    /// @dev The job that a token may change from within another call; see HostileHandler.
    function _inner() internal view virtual returns (uint256) {
        return NO_JOB;
    }

    function _lookAtAccounts(address payer, bool isExact) private {
        if (isExact) _book();
        if (isExact && _isPlain() && !_isPurseRight()) _accuse("15: tokens were taken from or sent to another than the rules say");
        uint256 sum = 0;
        for (uint256 i = 0; i < _accounts.length; ++i) {
            address account = _accounts[i];
            Account memory due = _owed[account];
            Account memory present = Account(uint128(_core.credit(account)), uint128(_core.forfeited(account)));
            sum += uint256(present.credit) + present.forfeited;
            if (present.credit == due.credit && present.forfeited == due.forfeited) continue;
            if (present.credit < due.credit && !_mayPay(account, payer)) _accuse("6: a credit fell by somebody else's act");
            if (isExact) _accuse("15: an account got something else than the rules say");
            _owed[account] = present;
        }
        _owedInAll = sum;
    }

    function _mayPay(address account, address payer) internal view virtual returns (bool) {
        return account == payer;
    }

    function _lookAtJob(uint256 index, bool isTouched, bool isForeseen) private {
        bytes16 jobId = _ids[index];
        Ledger storage ledger = _ledgers[jobId];
        bytes memory raw = _view(abi.encodeCall(_core.jobs, (jobId)));
        bytes32 seen = keccak256(raw);
        if (isForeseen && seen != _jobAfter) _accuse("16: a job is not what the call must make of it");
        if (seen == ledger.seen) return;
        if (!isTouched) _accuse("5: a call changed another job");
        IEmethCore.Job memory job = abi.decode(raw, (IEmethCore.Job));
        ledger.seen = seen;
        _checkRules(ledger, job);
        if (!_isAllowed(ledger.state, job.state)) _accuse("3: a state was followed by one that must not follow");
        if (job.payout > job.fee) _accuse("10: a job pays for more fuel than was bought");
        if (ledger.state != IEmethCore.State.VERIFIED && job.state == IEmethCore.State.VERIFIED) _noteBurnt(ledger, job);
        if (ledger.state != job.state) _note(bytes32(uint256(job.state)));
        uint256 inside = _locked(job, ledger.rules);
        _lockedInAll = _lockedInAll - ledger.inside + inside;
        (ledger.state, ledger.inside) = (job.state, inside);
    }

    /// @dev Of a job that ended without a result only that is kept: it has no terms any more, and no money to apply them to.
    function _checkRules(Ledger storage ledger, IEmethCore.Job memory job) private {
        if (job.state > IEmethCore.State.VERIFIED && job.state != IEmethCore.State.DISPUTED) {
            bool isBare = job.requester == address(0) && job.node == address(0) && job.commitment == 0 && job.termsId == 0
                && uint256(job.fee) + job.fuelLimit + job.deadline + job.payout == 0;
            if (!isBare) _accuse("an ended job keeps more than its state");
            return;
        }
        bytes32 rulesHash = keccak256(_view(abi.encodeCall(_core.terms, (job.termsId))));
        if (rulesHash != ledger.rulesHash) _accuse("8: a job's terms were altered");
    }

    /// @dev After the administrator's acts, of all jobs; otherwise each job that changes is looked at.
    function _checkAllRules() internal {
        for (uint256 i = 0; i < _ids.length; ++i) _checkRules(_ledgers[_ids[i]], _core.jobs(_ids[i]));
    }

    function _noteBurnt(Ledger storage ledger, IEmethCore.Job memory job) private {
        uint256 burnt = uint256(job.payout) * ledger.rules.burnBps / 10_000;
        uint256 slot = _now() / 1 days;
        _burntIn[slot] += burnt;
        _burntBy[slot][job.node] += burnt;
        bool isBooked = _core.slotBurnt(slot) == _burntIn[slot] && _core.slotBurntBy(slot, job.node) == _burntBy[slot][job.node];
        if (!isBooked) _accuse("15: what a job burnt is booked elsewhere");
    }

    /// @dev What a view answers, undecoded.
    function _view(bytes memory data) private view returns (bytes memory raw) {
        (, raw) = address(_core).staticcall(data);
    }

    // --------------------------------------------------------------------------------------------------- the rules

    function _isAllowed(IEmethCore.State from, IEmethCore.State to) private pure returns (bool) {
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

    /// @dev What a job holds, by the terms it was requested under.
    function _locked(IEmethCore.Job memory job, IEmethCore.Terms memory rules) private pure returns (uint256) {
        uint256 requested = _requested(job, rules);
        if (job.state == IEmethCore.State.REQUESTED) return requested;
        if (job.state == IEmethCore.State.PROCESSING || job.state == IEmethCore.State.SUBMITTED) return requested + job.fee;
        if (job.state == IEmethCore.State.DISPUTED) return requested + job.fee + _share(job.fee, rules.penaltyBps);
        return job.state == IEmethCore.State.VERIFIED ? job.payout : 0;
    }

    function _bits(IEmethCore.State a, IEmethCore.State b) private pure returns (uint16) {
        return uint16((1 << uint8(a)) | (1 << uint8(b)));
    }
}
