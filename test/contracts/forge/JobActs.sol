// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {PayoutTree} from "../../../src/contracts/PayoutTree.sol";
import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {Watcher} from "./Watcher.sol";
import {vm} from "./Vm.sol";

/// @notice What a crowd does with jobs: anything, in any order, mostly by those who may. What the rules say of each call is worked out
/// here anew, so that a call that works and must not shows as much as one that fails and must not.
abstract contract JobActs is Watcher {
    uint256 private constant MAX_JOBS = 10;

    struct Spec {
        address requester;
        uint96 fee;
        uint40 fuel;
        uint40 deadline;
        bytes32 salt;
    }

    /// @dev What a submitted result promises two of the nodes, as workers.
    struct Split {
        uint96 first;
        uint96 second;
        bytes32 root;
        uint8 claimed;
    }

    mapping(bytes16 jobId => Spec) private _specs;
    mapping(bytes16 jobId => Split) private _splits;

    // ---------------------------------------------------------------------------------------------------- requests

    function request(uint256 actor, uint96 fee, uint40 fuel, uint32 work) external {
        if (_ids.length == MAX_JOBS) return;
        uint40 deadline = uint40(_now() + _bound(work, 60, 6 hours));
        address by = _actors[actor % REQUESTERS];
        _request(Spec(by, uint96(_bound(fee, 1e18, 1e21)), uint40(_bound(fuel, 1, 1e9)), deadline, bytes32(_ids.length)));
    }

    /// @dev Another's request, copied down to the salt: it must not get in that one's way.
    function copy(uint256 job, uint256 actor) external {
        if (_ids.length == 0 || _ids.length == MAX_JOBS) return;
        Spec memory spec = _specs[_id(job)];
        spec.requester = _actors[actor % ACTORS];
        bytes16 jobId = _idOf(spec);
        if (_ledgers[jobId].state == IEmethCore.State.NONE) return _request(spec);
        if (spec.requester != _specs[jobId].requester) _accuse("14: two requesters have one job id");
        _call(spec.requester, NO_JOB, _requestOf(spec), Word.MUST_FAIL);
    }

    function _request(Spec memory spec) private {
        bytes16 jobId = _idOf(spec);
        Word word = _core.paused() || _core.jobs(jobId).state != IEmethCore.State.NONE ? Word.MUST_FAIL : Word.MAY_WORK;
        uint256 before = _token.balanceOf(address(_core));
        vm.prank(spec.requester);
        (bool done,) = address(_core).call(_requestOf(spec));
        _judge(done, word);
        if (!done) return;
        _open(jobId);
        _specs[jobId] = spec;
        if (_core.jobs(jobId).requester != spec.requester) _accuse("14: a job is somebody else's");
        _look(spec.requester, _ids.length - 1, before);
    }

    function _requestOf(Spec memory spec) internal view returns (bytes memory) {
        return abi.encodeCall(_core.request, ("data", "{}", spec.fee, spec.fuel, spec.deadline, spec.salt));
    }

    function _idOf(Spec memory spec) private view returns (bytes16) {
        bytes32 work = keccak256(abi.encode(keccak256("data"), keccak256("{}"), spec.fee, spec.fuel, spec.deadline));
        return bytes16(keccak256(abi.encode(block.chainid, address(_core), spec.requester, spec.salt, work)));
    }

    // -------------------------------------------------------------------------------------------------------- work

    function process(uint256 job, uint256 actor) public {
        if (_ids.length == 0) return;
        address by = _node(actor % NODES);
        IEmethCore.Job memory before = _core.jobs(_id(job));
        bool mayWork = before.state == IEmethCore.State.REQUESTED && _now() <= before.deadline && !_core.paused()
            && _core.isActive(by);
        _call(by, job % _ids.length, abi.encodeCall(_core.process, (_id(job))), mayWork ? Word.MAY_WORK : Word.MUST_FAIL);
    }

    function submit(uint256 job, uint40 fuelUsed, uint96 first, uint8 kind) public {
        if (_ids.length == 0) return;
        bytes16 jobId = _id(job);
        IEmethCore.Job memory before = _core.jobs(jobId);
        // One time in eight the node claims more fuel than was bought.
        uint256 most = uint256(before.fuelLimit) * (kind % 8 == 0 ? 2 : 1);
        fuelUsed = uint40(_bound(fuelUsed, kind % 8 == 0 ? before.fuelLimit : 0, most));
        Split memory split = _split(before, fuelUsed, first, kind % 4 < 2);
        bool open = before.state == IEmethCore.State.PROCESSING && _now() <= before.deadline && fuelUsed <= before.fuelLimit;
        bytes memory data = abi.encodeCall(_core.submit, (jobId, RESULT, fuelUsed, split.root, "r"));
        if (!_call(_somebody(before.node), job % _ids.length, data, open ? Word.MUST_WORK : Word.MUST_FAIL)) return;
        if (fuelUsed > before.fuelLimit) _accuse("10: more fuel was used than was bought");
        _splits[jobId] = split;
    }

    function _split(IEmethCore.Job memory job, uint256 fuelUsed, uint96 first, bool isHonest)
        private
        view
        returns (Split memory split)
    {
        uint96 payout = job.fuelLimit == 0 ? 0 : uint96(uint256(job.fee) * fuelUsed / job.fuelLimit);
        split.first = uint96(_bound(first, 0, payout));
        // A node may commit to a list that promises more than the job pays.
        split.second = isHonest ? payout - split.first : payout;
        split.root = Hashes.commutativeKeccak256(_leaf(0, split.first), _leaf(1, split.second));
    }

    // ------------------------------------------------------------------------------------------------------- verdicts

    /// @param signers Bit n: the verifier n signs. @param brings Who brings the verdict: a verifier, or somebody.
    function judge(uint256 job, bool isGood, uint256 signers, uint256 brings) public {
        if (_ids.length == 0) return;
        (bytes16 jobId, uint256 caller) = (_id(job), FIRST_VERIFIER + brings % 3);
        bytes20 commitment = bytes20(keccak256(abi.encode(RESULT, _splits[jobId].root)));
        bytes memory signed = _signatures(jobId, commitment, isGood, signers % 4);
        bytes memory data = isGood
            ? abi.encodeCall(_core.verify, (jobId, commitment, signed))
            : abi.encodeCall(_core.rejectResult, (jobId, commitment, bytes16(RESULT), signed));
        bool open = _isJudgeable(_core.jobs(jobId), isGood) && _isQuorum(jobId, signers % 4, caller);
        _call(_actors[caller], job % _ids.length, data, open ? Word.MUST_WORK : Word.MUST_FAIL);
    }

    function _signatures(bytes16 jobId, bytes20 commitment, bool isGood, uint256 signers)
        private
        view
        returns (bytes memory signed)
    {
        bool inOrder = _actors[FIRST_VERIFIER] < _actors[FIRST_VERIFIER + 1];
        for (uint256 i = 0; i < 2; ++i) {
            uint256 verifier = inOrder ? i : 1 - i;
            if (signers >> verifier & 1 == 0) continue;
            bytes16 reason = isGood ? bytes16(0) : bytes16(RESULT);
            bytes memory signature = _signAttestation(FIRST_VERIFIER + verifier, jobId, commitment, isGood, reason);
            signed = bytes.concat(signed, signature);
        }
    }

    function _isJudgeable(IEmethCore.Job memory job, bool isGood) private view returns (bool) {
        bool inWindow = _now() <= job.deadline;
        if (job.state == IEmethCore.State.SUBMITTED) return isGood || inWindow;
        return job.state == IEmethCore.State.DISPUTED && inWindow;
    }

    /// @dev Every signer must be a verifier; the caller counts if it is one, and nobody counts twice.
    function _isQuorum(bytes16 jobId, uint256 signers, uint256 caller) private view returns (bool) {
        uint256 count = 0;
        for (uint256 i = 0; i < 2; ++i) {
            bool isVerifier = _core.hasRole(_core.VERIFIER_ROLE(), _actors[FIRST_VERIFIER + i]);
            bool signs = signers >> i & 1 == 1;
            if (signs && !isVerifier) return false;
            if (isVerifier && (signs || caller == FIRST_VERIFIER + i)) ++count;
        }
        return count > 0 && count >= _ledgers[jobId].rules.quorum;
    }

    /// @dev All calls that take a job and nothing else.
    function plain(uint256 job, uint256 kind, uint256 actor) public {
        if (_ids.length == 0) return;
        IEmethCore.Job memory before = _core.jobs(_id(job));
        address[3] memory likely = [before.requester, before.node, _actors[actor % ACTORS]];
        address by = _somebody(likely[actor % 3]);
        (bytes4 selector, bool open) = _exit(kind % 9, before, by);
        // A bond is taken from the challenger's tokens, which may fail; everything else is a way out.
        Word ifOpen = selector == _core.challenge.selector ? Word.MAY_WORK : Word.MUST_WORK;
        _call(by, job % _ids.length, abi.encodeWithSelector(selector, _id(job)), open ? ifOpen : Word.MUST_FAIL);
    }

    function _exit(uint256 kind, IEmethCore.Job memory job, address by) private view returns (bytes4, bool) {
        bool isOver = _now() > job.deadline;
        (bool isRequested, bool isProcessing) =
            (job.state == IEmethCore.State.REQUESTED, job.state == IEmethCore.State.PROCESSING);
        bool isSubmitted = job.state == IEmethCore.State.SUBMITTED;
        if (kind == 0) return (_core.cancel.selector, isRequested && by == job.requester);
        if (kind == 1) return (_core.expire.selector, isRequested && isOver);
        if (kind == 2) return (_core.decline.selector, isProcessing && by == job.node && !isOver);
        if (kind == 3) return (_core.timeout.selector, isProcessing && isOver);
        if (kind == 4) return (_core.accept.selector, isSubmitted && by == job.requester);
        if (kind == 5) return (_core.finalize.selector, isSubmitted && isOver);
        if (kind == 6) return (_core.challenge.selector, isSubmitted && !isOver);
        if (kind == 7) return (_core.unwind.selector, job.state == IEmethCore.State.DISPUTED && isOver);
        return (_core.sweepUnclaimed.selector, job.state == IEmethCore.State.VERIFIED && by == job.node && isOver);
    }

    // ---------------------------------------------------------------------------------------------------------- pay

    function payWorkers(uint256 job) public {
        if (_ids.length == 0) return;
        IEmethCore.Job memory before = _core.jobs(_id(job));
        Split storage split = _splits[_id(job)];
        IEmethCore.Payee[] memory payees = new IEmethCore.Payee[](2);
        payees[0] = IEmethCore.Payee(_node(0), split.first);
        payees[1] = IEmethCore.Payee(_node(1), split.second);
        uint256 sum = uint256(split.first) + split.second;
        bool open = before.state == IEmethCore.State.VERIFIED && split.claimed == 0 && sum > 0 && sum == before.payout;
        bytes memory data = abi.encodeCall(_core.payWorkers, (_id(job), RESULT, payees));
        if (!_call(_actors[SOMEBODY], job % _ids.length, data, open ? Word.MUST_WORK : Word.MUST_FAIL)) return;
        _notePaid(_id(job), 3, sum, before);
    }

    function claimPay(uint256 job, uint256 index) public {
        if (_ids.length == 0) return;
        index %= 2;
        IEmethCore.Job memory before = _core.jobs(_id(job));
        Split storage split = _splits[_id(job)];
        uint96 amount = index == 0 ? split.first : split.second;
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = index == 0 ? _leaf(1, split.second) : _leaf(0, split.first);
        bool open = before.state == IEmethCore.State.VERIFIED && split.claimed >> index & 1 == 0 && amount > 0
            && amount <= before.payout;
        bytes memory data = abi.encodeCall(_core.claimPay, (_id(job), RESULT, split.root, index, _node(index), amount, proof));
        if (!_call(_actors[SOMEBODY], job % _ids.length, data, open ? Word.MUST_WORK : Word.MUST_FAIL)) return;
        _notePaid(_id(job), uint8(1 << index), amount, before);
    }

    function _notePaid(bytes16 jobId, uint8 indices, uint256 amount, IEmethCore.Job memory before) private {
        if (_splits[jobId].claimed & indices != 0) _accuse("12: one index was paid twice");
        _splits[jobId].claimed |= indices;
        if (amount > before.payout) _accuse("12: workers got more than was left of the payout");
        _ledgers[jobId].paid += amount;
        if (_ledgers[jobId].paid > before.fee) _accuse("12: workers got more than the fee");
    }

    // ------------------------------------------------------------------------------------------------------- in turn

    /// @dev What usually comes next, up to three times, so that many sequences come far.
    function advance(uint256 job, uint256 seed, uint8 steps) external {
        if (_ids.length == 0) return;
        for (uint256 i = 0; i <= steps % 3; ++i) _advance(job, uint256(keccak256(abi.encode(seed, i))));
    }

    function _advance(uint256 job, uint256 seed) private {
        IEmethCore.State state = _core.jobs(_id(job)).state;
        if (state == IEmethCore.State.REQUESTED) return process(job, seed);
        if (state == IEmethCore.State.PROCESSING) return submit(job, uint40(seed), uint96(seed >> 8), uint8(1 + seed % 7));
        if (state == IEmethCore.State.SUBMITTED && seed % 4 == 0) return plain(job, 6, SOMEBODY);
        if (state == IEmethCore.State.SUBMITTED || state == IEmethCore.State.DISPUTED) {
            return judge(job, seed % 3 > 0, seed >> 8, seed >> 16);
        }
        if (seed % 3 == 0) return payWorkers(job);
        claimPay(job, seed);
    }

    function _id(uint256 job) internal view returns (bytes16) {
        return _ids[job % _ids.length];
    }

    function _leaf(uint256 index, uint96 amount) private view returns (bytes32) {
        return PayoutTree.leaf(index, _node(index), amount);
    }
}
