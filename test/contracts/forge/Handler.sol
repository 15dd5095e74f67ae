// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {EmethCore} from "../../../src/contracts/EmethCore.sol";
import {EmethToken} from "../../../src/contracts/EmethToken.sol";
import {PayoutTree} from "../../../src/contracts/PayoutTree.sol";
import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {vm} from "./Vm.sol";

/// @notice Does to the escrow what a crowd would: anything, in any order, mostly by those who may. After every call it looks for what
/// must never have happened and keeps the first such thing in `violation`.
contract Handler {
    uint256 private constant ACTORS = 6;
    bytes32 private constant RESULT = keccak256("result");

    EmethCore public immutable core;
    EmethToken public immutable token;
    address private immutable _owner = msg.sender;
    /// @notice 0, 1: requesters, 2, 3: nodes, 4: a verifier, 5: somebody.
    address[ACTORS] public actors;
    bytes16[] public ids;
    string public violation;

    struct Split {
        uint96 first;
        uint96 second;
        bytes32 root;
    }

    mapping(bytes16 jobId => Split) private _splits;
    mapping(bytes16 jobId => mapping(uint256 index => bool)) private _isClaimed;

    // What was before the call that is being looked at.
    uint256[ACTORS] private _credits;
    bytes32[] private _hashes;
    IEmethCore.State[] private _states;

    constructor(EmethCore core_, EmethToken token_, address[ACTORS] memory actors_) {
        (core, token, actors) = (core_, token_, actors_);
    }

    // ------------------------------------------------------------------------------------------------------ calls

    function request(uint256 actor, uint96 fee, uint40 fuel, uint32 work) external {
        if (ids.length == 12) return;
        fee = uint96(_bound(fee, 1e18, 1e21));
        fuel = uint40(_bound(fuel, 1, 1e9));
        uint40 deadline = uint40(block.timestamp + _bound(work, 60, 6 hours));
        address by = actors[actor % 2];
        bytes32 spec = keccak256(abi.encode(keccak256("data"), keccak256("{}"), fee, fuel, deadline));
        bytes16 jobId = core.computeJobId(by, bytes32(ids.length), spec);
        bytes memory data = abi.encodeCall(core.request, ("data", "{}", fee, fuel, deadline, bytes32(ids.length)));
        if (_call(by, type(uint256).max, data)) ids.push(jobId);
    }

    function process(uint256 job, uint256 actor) external {
        if (ids.length > 0) _call(actors[2 + actor % 2], job % ids.length, abi.encodeCall(core.process, (_id(job))));
    }

    function submit(uint256 job, uint40 fuelUsed, uint96 first, bool isHonest) external {
        if (ids.length == 0) return;
        bytes16 jobId = _id(job);
        IEmethCore.Job memory before = core.jobs(jobId);
        fuelUsed = uint40(_bound(fuelUsed, 0, before.fuelLimit));
        uint96 payout = before.fuelLimit == 0 ? 0 : uint96(uint256(before.fee) * fuelUsed / before.fuelLimit);
        Split memory split;
        split.first = uint96(_bound(first, 0, payout));
        // A node may commit to a list that promises more than the job pays.
        split.second = isHonest ? payout - split.first : payout;
        split.root = Hashes.commutativeKeccak256(_leaf(0, split.first), _leaf(1, split.second));
        bool done = _call(before.node, job % ids.length, abi.encodeCall(core.submit, (jobId, RESULT, fuelUsed, split.root, "r")));
        if (done) _splits[jobId] = split;
    }

    /// @dev All calls that take a job and nothing else.
    function plain(uint256 job, uint256 kind, uint256 actor) external {
        if (ids.length == 0) return;
        bytes4[9] memory selectors = [
            core.cancel.selector,
            core.expire.selector,
            core.decline.selector,
            core.timeout.selector,
            core.accept.selector,
            core.finalize.selector,
            core.challenge.selector,
            core.unwind.selector,
            core.sweepUnclaimed.selector
        ];
        IEmethCore.Job memory before = core.jobs(_id(job));
        address[3] memory likely = [before.requester, before.node, actors[actor % ACTORS]];
        _call(likely[actor % 3], job % ids.length, abi.encodeWithSelector(selectors[kind % 9], _id(job)));
    }

    function judge(uint256 job, bool isGood) external {
        if (ids.length == 0) return;
        (bytes16 jobId, bytes20 commitment) = (_id(job), core.commit(RESULT, _splits[_id(job)].root));
        bytes[] memory none = new bytes[](0);
        bytes memory data = isGood
            ? abi.encodeCall(core.verify, (jobId, commitment, none))
            : abi.encodeCall(core.rejectResult, (jobId, commitment, RESULT, none));
        _call(actors[4], job % ids.length, data);
    }

    function payWorkers(uint256 job) external {
        if (ids.length == 0) return;
        Split memory split = _splits[_id(job)];
        IEmethCore.Payee[] memory payees = new IEmethCore.Payee[](2);
        payees[0] = IEmethCore.Payee(actors[2], split.first);
        payees[1] = IEmethCore.Payee(actors[3], split.second);
        _call(actors[5], job % ids.length, abi.encodeCall(core.payWorkers, (_id(job), RESULT, payees)));
    }

    function claimPay(uint256 job, uint256 index) external {
        if (ids.length == 0) return;
        Split memory split = _splits[_id(job)];
        index %= 2;
        uint96 amount = index == 0 ? split.first : split.second;
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = index == 0 ? _leaf(1, split.second) : _leaf(0, split.first);
        bytes memory data =
            abi.encodeCall(core.claimPay, (_id(job), RESULT, split.root, index, actors[2 + index], amount, proof));
        if (!_call(actors[5], job % ids.length, data)) return;
        if (_isClaimed[_id(job)][index]) violation = "one index was paid twice";
        _isClaimed[_id(job)][index] = true;
    }

    function deposit(uint256 from, uint256 to, uint96 amount) external {
        _call(actors[from % ACTORS], type(uint256).max, abi.encodeCall(core.deposit, (actors[to % ACTORS], amount % 1e21)));
    }

    function withdraw(uint256 from, uint256 to, uint256 amount) external {
        address by = actors[from % ACTORS];
        amount = _bound(amount, 0, core.credit(by));
        _call(by, type(uint256).max, abi.encodeCall(core.withdraw, (actors[to % ACTORS], amount)));
    }

    function burn(uint256 account) external {
        _call(actors[5], type(uint256).max, abi.encodeCall(core.burn, (actors[account % ACTORS])));
    }

    /// @dev The administrator (this contract) changes what it may; no job that exists may notice.
    function govern(uint256 kind, uint16 bps, bool flag) external {
        IEmethCore.Terms memory next = core.terms(core.currentTerms());
        next.penaltyBps = uint16(_bound(bps, 0, 5000));
        (next.verifierBps, next.declineBps, next.burnBps) = (next.penaltyBps / 4, next.penaltyBps / 2, next.penaltyBps / 3);
        bytes memory data = abi.encodeCall(core.setTerms, (next));
        if (kind % 2 == 1) data = abi.encodeCall(core.setPaused, (flag && kind % 4 == 1));
        _call(address(this), type(uint256).max, data);
    }

    function wait(uint32 time, bool isLong) external {
        vm.warp(block.timestamp + _bound(time, 1, isLong ? 2 hours : 10 minutes));
    }

    /// @dev To within half a minute of a job's deadline, where the rules change.
    function waitFor(uint256 job, uint8 seconds_) external {
        if (ids.length == 0) return;
        uint256 time = uint256(core.jobs(_id(job)).deadline) + seconds_ % 60;
        if (time > block.timestamp + 30 && time < block.timestamp + 1 days) vm.warp(time - 30);
    }

    // ------------------------------------------------------------------------------------------------ what is owed

    function liabilities() public view returns (uint256 sum) {
        for (uint256 i = 0; i < ACTORS; ++i) sum += core.credit(actors[i]) + core.forfeited(actors[i]);
        for (uint256 i = 0; i < ids.length; ++i) sum += _locked(core.jobs(ids[i]));
    }

    /// @notice Time and anybody end every job, and everybody gets its money, whatever happened before.
    function drain() external {
        if (msg.sender != _owner) return;
        // The longest work, then the longest verdict, then the longest time for claims: no call of an interested party helps.
        uint256 start = block.timestamp;
        for (uint256 stage = 1; stage <= 3; ++stage) {
            vm.warp(start + stage * 100 days);
            for (uint256 i = 0; i < ids.length; ++i) _end(ids[i]);
        }
        for (uint256 i = 0; i < ACTORS; ++i) {
            uint256 owed = core.credit(actors[i]);
            vm.prank(actors[i]);
            core.withdraw(actors[i], owed);
            core.burn(actors[i]);
        }
        if (token.balanceOf(address(core)) != 0) violation = "money stays behind";
    }

    function _end(bytes16 jobId) private {
        IEmethCore.Job memory job = core.jobs(jobId);
        if (job.state == IEmethCore.State.VERIFIED && job.payout > 0 && block.timestamp > job.deadline) {
            vm.prank(job.node);
            return core.sweepUnclaimed(jobId);
        }
        vm.prank(actors[5]);
        if (job.state == IEmethCore.State.REQUESTED) core.expire(jobId);
        else if (job.state == IEmethCore.State.PROCESSING) core.timeout(jobId);
        else if (job.state == IEmethCore.State.SUBMITTED) core.finalize(jobId);
        else if (job.state == IEmethCore.State.DISPUTED) core.unwind(jobId);
        else core.jobs(jobId);
    }

    // --------------------------------------------------------------------------------------------------- suspicion

    /// @dev `job` is the only one the call may change; max: none.
    function _call(address by, uint256 job, bytes memory data) private returns (bool done) {
        _remember();
        if (by != address(this)) vm.prank(by);
        (done,) = address(core).call(data);
        _compare(by, job);
    }

    function _remember() private {
        for (uint256 i = 0; i < ACTORS; ++i) _credits[i] = core.credit(actors[i]);
        (_hashes, _states) = (new bytes32[](0), new IEmethCore.State[](0));
        for (uint256 i = 0; i < ids.length; ++i) {
            IEmethCore.Job memory job = core.jobs(ids[i]);
            _hashes.push(keccak256(abi.encode(job)));
            _states.push(job.state);
        }
    }

    function _compare(address by, uint256 touched) private {
        for (uint256 i = 0; i < ACTORS; ++i) {
            if (actors[i] != by && core.credit(actors[i]) < _credits[i]) violation = "a credit fell by somebody else's act";
        }
        for (uint256 i = 0; i < _hashes.length; ++i) {
            IEmethCore.Job memory job = core.jobs(ids[i]);
            if (i != touched && keccak256(abi.encode(job)) != _hashes[i]) violation = "a call changed another job";
            if (!_isAllowed(_states[i], job.state)) violation = "a state was followed by one that must not follow";
            if (job.payout > job.fee) violation = "a job pays more than its fee";
        }
    }

    function _isAllowed(IEmethCore.State from, IEmethCore.State to) private pure returns (bool) {
        if (from == to) return true;
        // Bit n: state n may follow.
        uint16[11] memory next;
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

    function _locked(IEmethCore.Job memory job) private view returns (uint256) {
        IEmethCore.Terms memory rules = core.terms(job.termsId);
        uint256 requested =
            job.fee + uint256(job.fee) * rules.verifierBps / 10_000 + uint256(job.fee) * rules.burnBps / 10_000;
        if (job.state == IEmethCore.State.REQUESTED) return requested;
        if (job.state == IEmethCore.State.PROCESSING || job.state == IEmethCore.State.SUBMITTED) return requested + job.fee;
        if (job.state == IEmethCore.State.DISPUTED) {
            return requested + job.fee + uint256(job.fee) * rules.penaltyBps / 10_000;
        }
        return job.state == IEmethCore.State.VERIFIED ? job.payout : 0;
    }

    function _bits(IEmethCore.State a, IEmethCore.State b) private pure returns (uint16) {
        return uint16((1 << uint8(a)) | (1 << uint8(b)));
    }

    function _id(uint256 job) private view returns (bytes16) {
        return ids[job % ids.length];
    }

    function _leaf(uint256 index, uint96 amount) private view returns (bytes32) {
        return PayoutTree.leaf(index, actors[2 + index], amount);
    }

    function _bound(uint256 value, uint256 low, uint256 high) private pure returns (uint256) {
        return low + value % (high - low + 1);
    }
}
