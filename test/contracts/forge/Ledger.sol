// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {NodeRegistry} from "../../../src/contracts/NodeRegistry.sol";
import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {Behaviour} from "./Behaviour.sol";
import {Crowd} from "./Crowd.sol";
import {Core} from "./Deployed.sol";
import {Expected, Kind, Line, Outcome, Outcomes} from "./Outcome.sol";
import {Rules} from "./Rules.sol";
import {vm} from "./Vm.sol";

bytes16 constant NO_JOB = 0;

/// @notice What a submitted result promises the first two nodes, as its workers.
struct Split {
    uint96 first;
    uint96 second;
    bytes32 root;
    /// Bit n: line n was paid.
    uint8 claimed;
}

/// @notice Books kept beside the escrow's own. Every call of an actor goes through here and is compared with
/// what the rules say of it; the first difference stays in `violation`, with the number of its invariant.
/// @dev What was seen after a call is what must still be there before the next one, because nobody else calls
/// the contracts.
contract Ledger {
    struct Account {
        uint128 credit;
        uint128 forfeited;
    }

    struct Due {
        address account;
        int128 credit;
        int128 forfeited;
    }

    /// @dev What a call must bring, in the figures of the moment before it.
    struct Foreseen {
        Due[] dues;
        /// The account whose tokens the call moves; zero if none.
        address purse;
        /// The tokens of that account after the call.
        uint256 left;
        bytes32 job;
        /// The escrow's tokens before the call.
        uint256 balance;
    }

    /// @dev What the escrow does not say of a job, and how the job was last seen.
    struct Entry {
        IEmethCore.State state;
        /// What went into the job and has not come out.
        uint256 inside;
        bytes32 seen;
        IEmethCore.Terms rules;
        bytes32 rulesHash;
        /// What the job's workers have got.
        uint256 paid;
        Split split;
    }

    Crowd public immutable crowd;
    Behaviour public immutable behaviour;
    IERC20 private immutable _token;
    Core private immutable _core;
    NodeRegistry private immutable _registry;

    string public violation;
    /// @notice How often a call succeeded, by its selector, and how often a job came to a state, by the
    /// state's number.
    mapping(bytes32 what => uint256) public reached;
    mapping(uint256 slot => uint256) public burntIn;
    mapping(uint256 slot => mapping(address node => uint256)) public burntBy;

    bytes16[] private _ids;
    mapping(bytes16 jobId => Entry) private _entries;
    /// @dev Everybody whom the escrow may owe anything.
    address[] private _accounts;
    mapping(address account => Account) private _owed;
    uint256 private _owedInAll;
    uint256 private _lockedInAll;
    uint256 private _reentries;

    constructor(Crowd crowd_, Behaviour behaviour_, address[] memory accounts_) {
        (crowd, behaviour, _accounts) = (crowd_, behaviour_, accounts_);
        (_token, _core, _registry) = (crowd_.token(), crowd_.core(), crowd_.registry());
    }

    // ---------------------------------------------------------------------------------------------------------- calls

    /// @notice Lets `by` call the escrow. Only the job named may change.
    function call(address by, bytes16 jobId, bytes calldata data, Expected expected, Outcome calldata outcome)
        external
        returns (bool isDone)
    {
        Foreseen memory foreseen = _foresee(outcome);
        isDone = _send(address(_core), by, data, expected);
        if (isDone) _compare(by, jobId, foreseen);
    }

    /// @notice As `call`, but `payer` has agreed by a signature that its credit falls.
    function callFor(address by, address payer, bytes calldata data, Expected expected, Outcome calldata outcome)
        external
        returns (bool isDone)
    {
        Foreseen memory foreseen = _foresee(outcome);
        isDone = _send(address(_core), by, data, expected);
        if (isDone) _compare(payer, NO_JOB, foreseen);
    }

    /// @notice As `call`, for a job that is not in the books yet.
    function request(address by, bytes16 jobId, bytes calldata data, Expected expected, Outcome calldata outcome)
        external
        returns (bool isDone)
    {
        Foreseen memory foreseen = _foresee(outcome);
        isDone = _send(address(_core), by, data, expected);
        if (!isDone) return false;
        _open(jobId);
        if (_core.jobs(jobId).requester != by) _report("14: a job is somebody else's");
        _compare(by, jobId, foreseen);
    }

    /// @notice Lets `by` call the registry, which may change no job.
    function callRegistry(address by, bytes calldata data, Outcome calldata outcome) external returns (bool isDone) {
        Foreseen memory foreseen = _foresee(outcome);
        isDone = _send(address(_registry), by, data, Expected.EITHER);
        if (isDone) _compare(by, NO_JOB, foreseen);
    }

    function _send(address target, address by, bytes calldata data, Expected expected) private returns (bool isDone) {
        vm.prank(by);
        (isDone,) = target.call(data);
        if (isDone && expected == Expected.FAILURE) _report("3: a call succeeded that the rules forbid");
        if (!isDone && expected == Expected.SUCCESS) _report("7: a way out was blocked");
        if (isDone) note(bytes4(data));
    }

    /// @notice Keeps the first violation.
    function report(string calldata what) external {
        _report(what);
    }

    function _report(string memory what) private {
        if (bytes(violation).length == 0) violation = what;
    }

    /// @notice Counts how far the campaign came.
    function note(bytes32 what) public {
        ++reached[what];
    }

    // ----------------------------------------------------------------------------------------------------------- jobs

    function count() external view returns (uint256) {
        return _ids.length;
    }

    function idAt(uint256 index) external view returns (bytes16) {
        return _ids[index];
    }

    function stateOf(bytes16 jobId) external view returns (IEmethCore.State) {
        return _entries[jobId].state;
    }

    /// @notice What the job holds, as last seen.
    function inside(bytes16 jobId) external view returns (uint256) {
        return _entries[jobId].inside;
    }

    /// @notice The terms that the job was requested under.
    function rulesOf(bytes16 jobId) external view returns (IEmethCore.Terms memory) {
        return _entries[jobId].rules;
    }

    function splitOf(bytes16 jobId) external view returns (Split memory) {
        return _entries[jobId].split;
    }

    function accounts() external view returns (address[] memory) {
        return _accounts;
    }

    function setSplit(bytes16 jobId, Split calldata split) external {
        _entries[jobId].split = split;
    }

    /// @param lines Bit n: line n of the split was paid. @param before The job as it was before that.
    function notePaid(bytes16 jobId, uint8 lines, uint256 amount, IEmethCore.Job calldata before) external {
        Entry storage entry = _entries[jobId];
        if (entry.split.claimed & lines != 0) _report("12: one line was paid twice");
        entry.split.claimed |= lines;
        if (amount > before.payout) _report("12: workers got more than was left of the payout");
        entry.paid += amount;
        if (entry.paid > before.fee) _report("12: workers got more than the fee");
    }

    /// @notice Every job still has its terms. After the administrator's acts, since otherwise only jobs that
    /// change are looked at.
    function checkAllRules() external {
        for (uint256 i = 0; i < _ids.length; ++i) _checkRules(_entries[_ids[i]], _core.jobs(_ids[i]));
    }

    function _open(bytes16 jobId) private {
        if (_entries[jobId].state != IEmethCore.State.NONE) _report("14: a job's id came twice");
        uint8 termsId = _core.currentTerms();
        _ids.push(jobId);
        _entries[jobId].rules = _core.terms(termsId);
        _entries[jobId].rulesHash = keccak256(_view(abi.encodeCall(_core.terms, (termsId))));
    }

    // --------------------------------------------------------------------------------------------------- before a call

    function _foresee(Outcome calldata outcome) private view returns (Foreseen memory foreseen) {
        foreseen.dues = new Due[](outcome.count);
        foreseen.balance = _token.balanceOf(address(_core));
        foreseen.job = outcome.job;
        for (uint256 i = 0; i < outcome.count; ++i) _foreseeLine(foreseen, foreseen.dues[i], outcome.lines[i]);
    }

    function _foreseeLine(Foreseen memory foreseen, Due memory due, Line calldata line) private view {
        (Kind kind, address account, int128 amount) = (line.kind, line.account, int128(int256(line.amount)));
        due.account = account;
        if (kind == Kind.GETS) due.credit = amount;
        if (kind == Kind.FORFEITS) due.forfeited = amount;
        if (kind == Kind.SPENDS) due.credit = -amount;
        if (kind == Kind.BURNS) due.forfeited = -int128(_owed[account].forfeited);
        uint256 fromCredit = kind == Kind.PAYS ? _min(_owed[account].credit, line.amount) : 0;
        if (kind == Kind.PAYS) due.credit = -int128(int256(fromCredit));
        bool isGiver = kind == Kind.PAYS || kind == Kind.GIVES;
        if (!isGiver && kind != Kind.RECEIVES) return;
        uint256 present = _token.balanceOf(account);
        uint256 given = line.amount - fromCredit;
        foreseen.purse = account;
        if (isGiver) foreseen.left = present < given ? 0 : present - given;
        else foreseen.left = present + line.amount;
    }

    // ---------------------------------------------------------------------------------------------------- after a call

    function _compare(address payer, bytes16 jobId, Foreseen memory foreseen) private {
        bytes16 inner = behaviour.reentered();
        (uint256 owedBefore, uint256 lockedBefore) = (_owedInAll, _lockedInAll);
        bool isForeseen = !_wasReentered();
        _compareAccounts(payer, isForeseen, foreseen);
        for (uint256 i = 0; i < _ids.length; ++i) {
            bytes16 id = _ids[i];
            _compareJob(id, id == jobId || id == inner, isForeseen && id == jobId, foreseen.job);
        }
        uint256 balance = _token.balanceOf(address(_core));
        if (balance + owedBefore + lockedBefore != foreseen.balance + _owedInAll + _lockedInAll) {
            _report("2: a job took in or paid out something else than its locked money changed by");
        }
        if (balance != _owedInAll + _lockedInAll) _report("1: the balance is not what is owed and locked");
    }

    /// @dev When the token called back, more happened than was foreseen.
    function _wasReentered() private returns (bool wasReentered) {
        uint256 reentries = behaviour.reentries();
        wasReentered = reentries != _reentries;
        if (wasReentered) note("calls from within a transfer");
        _reentries = reentries;
    }

    function _compareAccounts(address payer, bool isForeseen, Foreseen memory foreseen) private {
        if (isForeseen) _book(foreseen.dues);
        bool isPurseRight = foreseen.purse == address(0) || _token.balanceOf(foreseen.purse) == foreseen.left;
        if (isForeseen && !isPurseRight && behaviour.isExact()) {
            _report("15: tokens were taken from or sent to another account than the rules say");
        }
        uint256 sum = 0;
        for (uint256 i = 0; i < _accounts.length; ++i) {
            address account = _accounts[i];
            Account memory due = _owed[account];
            Account memory present = Account(uint128(_core.credit(account)), uint128(_core.forfeited(account)));
            sum += uint256(present.credit) + present.forfeited;
            if (present.credit == due.credit && present.forfeited == due.forfeited) continue;
            // A hostile token that is owed credit may spend it from within a transfer.
            bool mayPay = account == payer || account == address(_token);
            if (present.credit < due.credit && !mayPay) _report("6: a credit fell by somebody else's act");
            if (isForeseen) _report("15: an account got something else than the rules say");
            _owed[account] = present;
        }
        _owedInAll = sum;
    }

    function _book(Due[] memory dues) private {
        for (uint256 i = 0; i < dues.length; ++i) {
            Account storage account = _owed[dues[i].account];
            account.credit = uint128(int128(account.credit) + dues[i].credit);
            account.forfeited = uint128(int128(account.forfeited) + dues[i].forfeited);
        }
    }

    function _compareJob(bytes16 jobId, bool mayChange, bool isForeseen, bytes32 foreseen) private {
        Entry storage entry = _entries[jobId];
        bytes memory raw = _view(abi.encodeCall(_core.jobs, (jobId)));
        bytes32 seen = keccak256(raw);
        if (isForeseen && seen != foreseen) _report("16: a job is not what the call must make of it");
        if (seen == entry.seen) return;
        if (!mayChange) _report("5: a call changed another job");
        IEmethCore.Job memory job = abi.decode(raw, (IEmethCore.Job));
        entry.seen = seen;
        _checkRules(entry, job);
        if (!Rules.mayFollow(entry.state, job.state)) _report("3: a state was followed by one that must not follow");
        if (job.payout > job.fee) _report("10: a job pays for more fuel than was bought");
        if (entry.state != IEmethCore.State.VERIFIED && job.state == IEmethCore.State.VERIFIED) _noteBurnt(entry, job);
        if (entry.state != job.state) note(bytes32(uint256(job.state)));
        uint256 locked = Rules.locked(job, entry.rules);
        _lockedInAll = _lockedInAll - entry.inside + locked;
        (entry.state, entry.inside) = (job.state, locked);
    }

    /// @dev A job that ended without a result has no terms any more, and no money to apply them to.
    function _checkRules(Entry storage entry, IEmethCore.Job memory job) private {
        if (Rules.isBare(job.state)) {
            bool isEmpty = job.requester == address(0) && job.node == address(0) && job.commitment == 0 && job.termsId == 0
                && uint256(job.fee) + job.fuelLimit + job.deadline + job.payout == 0;
            if (!isEmpty) _report("16: an ended job keeps more than its state");
            return;
        }
        bytes32 rulesHash = keccak256(_view(abi.encodeCall(_core.terms, (job.termsId))));
        if (rulesHash != entry.rulesHash) _report("8: a job's terms were altered");
    }

    function _noteBurnt(Entry storage entry, IEmethCore.Job memory job) private {
        uint256 burnt = uint256(job.payout) * entry.rules.burnBps / 10_000;
        uint256 slot = vm.getBlockTimestamp() / 1 days;
        burntIn[slot] += burnt;
        burntBy[slot][job.node] += burnt;
        bool isBooked = _core.slotBurnt(slot) == burntIn[slot] && _core.slotBurntBy(slot, job.node) == burntBy[slot][job.node];
        if (!isBooked) _report("15: what a job burnt is booked elsewhere");
    }

    /// @dev What a view answers, not decoded.
    function _view(bytes memory data) private view returns (bytes memory raw) {
        (, raw) = address(_core).staticcall(data);
    }

    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }
}
