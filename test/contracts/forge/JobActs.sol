// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {Watcher} from "./Watcher.sol";
import {vm} from "./Vm.sol";

/// @notice What a crowd does with jobs: anything, in any order, mostly by those who may. What the rules say of each call is worked out
/// here anew, so that a call that works and must not shows as much as one that fails and must not.
abstract contract JobActs is Watcher {
    uint256 internal constant MAX_JOBS = 10;

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

    function request(uint256 actor, uint96 fee, uint40 fuel, uint32 work) public {
        if (_ids.length < MAX_JOBS) _request(_newSpec(actor, fee, fuel, work));
    }

    /// @dev Now and then a wei, a second or all fuel short of what the terms ask for.
    function _newSpec(uint256 actor, uint96 fee, uint40 fuel, uint32 work) internal view returns (Spec memory) {
        uint40 deadline = uint40(_now() + _bound(work, 59, 1 days));
        uint96 price = uint96(_bound(fee, 1e18 - 1, 1e21));
        return Spec(_actors[actor % REQUESTERS], price, uint40(_bound(fuel, 0, 1e9)), deadline, bytes32(_ids.length));
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
        _requestBy(spec, _requestOf(spec));
    }

    /// @param data The call, of the escrow's two, that requests what `spec` says.
    function _requestBy(Spec memory spec, bytes memory data) internal {
        bytes16 jobId = _idOf(spec);
        Word word = _isRequestable(spec) && _core.jobs(jobId).state == IEmethCore.State.NONE ? _wordOfPulls() : Word.MUST_FAIL;
        uint256 before = _token.balanceOf(address(_core));
        _foreseeRequest(jobId, _jobOf(spec), _core.terms(_core.currentTerms()));
        vm.prank(spec.requester);
        (bool done,) = address(_core).call(data);
        _judge(done, word);
        if (!done) return _forget();
        _note(bytes4(data));
        _open(jobId);
        _specs[jobId] = spec;
        if (_core.jobs(jobId).requester != spec.requester) _accuse("14: a job is somebody else's");
        _look(spec.requester, _ids.length - 1, before);
    }

    function _isRequestable(Spec memory spec) private view returns (bool) {
        IEmethCore.Terms memory rules = _core.terms(_core.currentTerms());
        bool isInTime = spec.deadline >= _now() + rules.minWork && spec.deadline <= _now() + 365 days;
        return !_core.paused() && spec.fee >= rules.minFee && spec.fuel > 0 && isInTime;
    }

    function _jobOf(Spec memory spec) private pure returns (IEmethCore.Job memory job) {
        (job.requester, job.fee, job.fuelLimit, job.deadline) = (spec.requester, spec.fee, spec.fuel, spec.deadline);
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
        _do(job, _core.process.selector, by, mayWork ? _wordOfPulls() : Word.MUST_FAIL);
    }

    function submit(uint256 job, uint40 fuelUsed, uint96 first, uint8 kind) public {
        if (_ids.length == 0) return;
        bytes16 jobId = _id(job);
        IEmethCore.Job memory before = _core.jobs(jobId);
        // One time in eight the node claims more fuel than was bought.
        uint256 most = uint256(before.fuelLimit) * (kind % 8 == 0 ? 2 : 1);
        fuelUsed = uint40(_bound(fuelUsed, kind % 8 == 0 ? before.fuelLimit : 0, most));
        Split memory split = _split(before, fuelUsed, first, kind % 4);
        bool open = before.state == IEmethCore.State.PROCESSING && _now() <= before.deadline && fuelUsed <= before.fuelLimit;
        bytes memory data = abi.encodeCall(_core.submit, (jobId, RESULT, fuelUsed, split.root, "r"));
        if (open) _foreseeSubmit(jobId, _payoutOf(before, fuelUsed), _commitmentTo(split.root), _ledgers[jobId].rules);
        if (!_call(_somebody(before.node), job % _ids.length, data, open ? Word.MUST_WORK : Word.MUST_FAIL)) return;
        if (fuelUsed > before.fuelLimit) _accuse("10: more fuel was used than was bought");
        _splits[jobId] = split;
    }

    function _split(IEmethCore.Job memory job, uint256 fuelUsed, uint96 first, uint256 kind)
        private
        view
        returns (Split memory split)
    {
        uint96 payout = _payoutOf(job, fuelUsed);
        split.first = uint96(_bound(first, 0, payout));
        // A node may commit to a list that promises more than the job pays, or less.
        split.second = kind == 2 ? payout : kind == 3 ? (payout - split.first) / 2 : payout - split.first;
        split.root = Hashes.commutativeKeccak256(_leaf(0, split.first), _leaf(1, split.second));
    }

    function _payoutOf(IEmethCore.Job memory job, uint256 fuelUsed) private pure returns (uint96) {
        return job.fuelLimit == 0 ? 0 : uint96(uint256(job.fee) * fuelUsed / job.fuelLimit);
    }

    // ------------------------------------------------------------------------------------------------------- verdicts

    /// @param signers Bit n: the verifier n signs. @param brings Who brings the verdict: a verifier, or somebody.
    /// @param trick One time in four it is brought in a way that must be refused.
    function judge(uint256 job, bool isGood, uint256 signers, uint256 brings, uint8 trick) public {
        if (_ids.length == 0) return;
        (bytes16 jobId, uint256 caller) = (_id(job), FIRST_VERIFIER + brings % 3);
        bytes20 commitment = _commitmentTo(_splits[jobId].root);
        bool open = _isJudgeable(_core.jobs(jobId), isGood) && _isQuorum(jobId, signers % 4, caller);
        if (open && trick % 4 == 0) _note("verdicts with a trick");
        if (trick % 4 == 0) open = false;
        // Another result is meant, and signed; or something is wrong with the signatures.
        if (trick % 8 == 0) commitment = bytes20(RESULT);
        bytes memory signed = trick % 8 == 4
            ? _tricked(jobId, commitment, isGood, trick / 8)
            : _signatures(jobId, commitment, isGood, signers % 4);
        bytes memory data = isGood
            ? abi.encodeCall(_core.verify, (jobId, commitment, signed))
            : abi.encodeCall(_core.rejectResult, (jobId, commitment, bytes16(RESULT), signed));
        if (open) _foreseeVerdict(jobId, isGood, _earner(signers % 4, caller), _ledgers[jobId].rules);
        _call(_actors[caller], job % _ids.length, data, open ? Word.MUST_WORK : Word.MUST_FAIL);
    }

    function _signatures(bytes16 jobId, bytes20 commitment, bool isGood, uint256 signers)
        private
        view
        returns (bytes memory signed)
    {
        for (uint256 i = 0; i < 2; ++i) {
            uint256 verifier = i ^ _smaller();
            if (signers >> verifier & 1 == 1) signed = bytes.concat(signed, _signature(FIRST_VERIFIER + verifier, jobId, commitment, isGood));
        }
    }

    /// @dev Doubled, the wrong way round, by somebody who is no verifier, of the opposite verdict, of another job, or cut.
    function _tricked(bytes16 jobId, bytes20 commitment, bool isGood, uint256 kind) private view returns (bytes memory) {
        (uint256 low, uint256 high) = (FIRST_VERIFIER + _smaller(), FIRST_VERIFIER + 1 - _smaller());
        bytes memory first = _signature(low, jobId, commitment, isGood);
        bytes memory second = _signature(high, jobId, commitment, isGood);
        kind %= 6;
        if (kind == 0) return bytes.concat(first, first);
        if (kind == 1) return bytes.concat(second, first);
        if (kind == 2) return _signature(SOMEBODY, jobId, commitment, isGood);
        if (kind == 3) return _signature(low, jobId, commitment, !isGood);
        if (kind == 4) return _signature(high, ~jobId, commitment, isGood);
        return bytes.concat(first, bytes1(0));
    }

    function _signature(uint256 actor, bytes16 jobId, bytes20 commitment, bool isGood) private view returns (bytes memory) {
        return _signAttestation(actor, jobId, commitment, isGood, isGood ? bytes16(0) : bytes16(RESULT));
    }

    /// @dev Which of the two verifiers has the smaller address, and so signs first.
    function _smaller() private view returns (uint256) {
        return _actors[FIRST_VERIFIER] < _actors[FIRST_VERIFIER + 1] ? 0 : 1;
    }

    /// @dev The verifier that brings the verdict, else the first that signed it.
    function _earner(uint256 signers, uint256 caller) private view returns (address) {
        if (_core.hasRole(_core.VERIFIER_ROLE(), _actors[caller])) return _actors[caller];
        uint256 first = signers == 3 ? _smaller() : signers - 1;
        return _actors[FIRST_VERIFIER + first];
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
        Word ifOpen = selector == _core.challenge.selector ? _wordOfPulls() : Word.MUST_WORK;
        _do(job, selector, by, open ? ifOpen : Word.MUST_FAIL);
    }

    function _do(uint256 job, bytes4 act, address by, Word word) internal returns (bool) {
        bytes16 jobId = _id(job);
        if (word != Word.MUST_FAIL) _foresee(act, by, jobId, _ledgers[jobId].rules);
        return _call(by, job % _ids.length, abi.encodeWithSelector(act, jobId), word);
    }

    function _exit(uint256 kind, IEmethCore.Job memory job, address by) internal view returns (bytes4, bool) {
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
        if (open) _foreseePay(_id(job), _node(0), before.payout);
        if (open) _moves(_node(0), _node(1), split.second);
        if (!_call(_actors[SOMEBODY], job % _ids.length, data, open ? Word.MUST_WORK : Word.MUST_FAIL)) return;
        _notePaid(_id(job), 3, sum, before);
    }

    function claimPay(uint256 job, uint256 index) public {
        if (_ids.length == 0) return;
        if (index / 2 % 4 == 0) _claimForged(job, index);
        index %= 2;
        IEmethCore.Job memory before = _core.jobs(_id(job));
        (bytes memory data, uint96 amount, bool open) = _claimOf(_id(job), index, before);
        if (open) _foreseePay(_id(job), _node(index), amount);
        if (!_call(_actors[SOMEBODY], job % _ids.length, data, open ? Word.MUST_WORK : Word.MUST_FAIL)) return;
        _notePaid(_id(job), uint8(1 << index), amount, before);
    }

    /// @dev By a tree of one's own, all that is left; or a leaf of the tree under an index that it has not.
    function _claimForged(uint256 job, uint256 index) private {
        Split storage split = _splits[_id(job)];
        address by = _node(index % 2);
        uint96 left = _core.jobs(_id(job)).payout;
        bytes memory data = abi.encodeCall(
            _core.claimPay, (_id(job), RESULT, _leafOf(index, by, left), index, by, left, new bytes32[](0))
        );
        _call(by, job % _ids.length, data, Word.MUST_FAIL);
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = _leaf(1, split.second);
        data = abi.encodeCall(_core.claimPay, (_id(job), RESULT, split.root, 2 + index % 300, _node(0), split.first, proof));
        _call(by, job % _ids.length, data, Word.MUST_FAIL);
    }

    /// @dev A worker claims and takes all of its credit out, in one transaction: both happen or neither.
    function collect(uint256 job, uint256 index, uint256 to) public {
        if (_ids.length == 0) return;
        index %= 2;
        IEmethCore.Job memory before = _core.jobs(_id(job));
        (bytes memory claim, uint96 amount, bool open) = _claimOf(_id(job), index, before);
        (address worker, address target) = (_node(index), _actors[to % ACTORS]);
        uint256 all = _core.credit(worker) + amount;
        bytes[] memory calls = new bytes[](2);
        (calls[0], calls[1]) = (claim, abi.encodeCall(_core.withdraw, (target, all)));
        if (open) {
            _foreseePay(_id(job), worker, amount);
            _spends(worker, all);
            _receives(target, all);
        }
        bytes memory data = abi.encodeCall(_core.multicall, (calls));
        if (!_call(worker, job % _ids.length, data, open ? _wordOfTransfers() : Word.MUST_FAIL)) return;
        _notePaid(_id(job), uint8(1 << index), amount, before);
    }

    /// @dev What a withdrawal that the books cover must do.
    function _wordOfTransfers() internal view virtual returns (Word);

    function _claimOf(bytes16 jobId, uint256 index, IEmethCore.Job memory job)
        private
        view
        returns (bytes memory data, uint96 amount, bool open)
    {
        Split storage split = _splits[jobId];
        amount = index == 0 ? split.first : split.second;
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = index == 0 ? _leaf(1, split.second) : _leaf(0, split.first);
        open = job.state == IEmethCore.State.VERIFIED && split.claimed >> index & 1 == 0 && amount > 0 && amount <= job.payout;
        data = abi.encodeCall(_core.claimPay, (jobId, RESULT, split.root, index, _node(index), amount, proof));
    }

    function _notePaid(bytes16 jobId, uint8 indices, uint256 amount, IEmethCore.Job memory before) private {
        if (_splits[jobId].claimed & indices != 0) _accuse("12: one index was paid twice");
        _splits[jobId].claimed |= indices;
        if (amount > before.payout) _accuse("12: workers got more than was left of the payout");
        _ledgers[jobId].paid += amount;
        if (_ledgers[jobId].paid > before.fee) _accuse("12: workers got more than the fee");
    }

    function _commitmentTo(bytes32 root) private pure returns (bytes20) {
        return bytes20(keccak256(abi.encode(RESULT, root)));
    }

    function _id(uint256 job) internal view returns (bytes16) {
        return _ids[job % _ids.length];
    }

    function _leaf(uint256 index, uint96 amount) private view returns (bytes32) {
        return _leafOf(index, _node(index), amount);
    }

    /// @dev In the words of the rule, not by the contracts' own library.
    function _leafOf(uint256 index, address worker, uint96 amount) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(index, worker, amount))));
    }
}
