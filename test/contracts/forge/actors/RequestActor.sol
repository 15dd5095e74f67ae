// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EmethToken} from "../../../../src/contracts/EmethToken.sol";
import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {ACCOUNTS, REQUESTERS} from "../Crowd.sol";
import {Ledger, NO_JOB} from "../Ledger.sol";
import {Expected, Outcome, Outcomes} from "../Outcome.sol";
import {Rules} from "../Rules.sol";
import {vm} from "../Vm.sol";
import {Actor} from "./Actor.sol";

/// @notice Requests jobs, plainly, by permit, and as copies of others' requests.
contract RequestActor is Actor {
    uint256 private constant MAX_JOBS = 10;

    struct Spec {
        address requester;
        uint96 fee;
        uint40 fuel;
        uint40 deadline;
        bytes32 salt;
    }

    mapping(bytes16 jobId => Spec) private _specs;

    constructor(Ledger ledger) Actor(ledger) {}

    function request(uint256 account, uint96 fee, uint40 fuel, uint32 work) external {
        if (_ledger.count() < MAX_JOBS) _request(_newSpec(account, fee, fuel, work));
    }

    /// @notice Without any allowance but what the permit gives. Somebody may have used the permit before:
    /// that changes nothing.
    /// @dev Needs the real token.
    function requestWithPermit(uint256 account, uint96 fee, uint40 fuel, uint32 work, bool isUsed) external {
        if (_ledger.count() == MAX_JOBS) return;
        account %= REQUESTERS;
        Spec memory spec = _newSpec(account, fee, fuel, work);
        EmethToken emt = EmethToken(address(_token));
        vm.prank(spec.requester);
        emt.approve(address(_core), 0);
        (uint8 v, bytes32 r, bytes32 s) = _crowd.signPermit(account, emt.DOMAIN_SEPARATOR(), emt.nonces(spec.requester));
        if (isUsed) emt.permit(spec.requester, address(_core), type(uint256).max, type(uint256).max, v, r, s);
        bytes memory data = abi.encodeWithSelector(
            _core.requestWithPermit.selector,
            "data", "{}", spec.fee, spec.fuel, spec.deadline, spec.salt, type(uint256).max, type(uint256).max, v, r, s
        );
        _requestBy(spec, data);
        vm.prank(spec.requester);
        emt.approve(address(_core), type(uint256).max);
    }

    /// @notice Another's request, copied down to the salt: it must not get in that one's way.
    function copy(uint256 job, uint256 account) external {
        if (_hasNoJobs() || _ledger.count() == MAX_JOBS) return;
        Spec memory spec = _specs[_id(job)];
        spec.requester = _accounts[account % ACCOUNTS];
        bytes16 jobId = _idOf(spec);
        if (_ledger.stateOf(jobId) == IEmethCore.State.NONE) return _request(spec);
        if (spec.requester != _specs[jobId].requester) _ledger.report("14: two requesters have one job id");
        _ledger.call(spec.requester, NO_JOB, _dataOf(spec), Expected.FAILURE, Outcomes.none());
    }

    /// @dev Now and then a wei, a second or all fuel short of what the terms ask for.
    function _newSpec(uint256 account, uint96 fee, uint40 fuel, uint32 work) private view returns (Spec memory) {
        uint40 deadline = uint40(_now() + _bound(work, 59, 1 days));
        uint96 price = uint96(_bound(fee, 1e18 - 1, 1e21));
        bytes32 salt = bytes32(_ledger.count());
        return Spec(_accounts[account % REQUESTERS], price, uint40(_bound(fuel, 0, 1e9)), deadline, salt);
    }

    function _request(Spec memory spec) private {
        _requestBy(spec, _dataOf(spec));
    }

    /// @param data One of the two calls that request what `spec` says.
    function _requestBy(Spec memory spec, bytes memory data) private {
        bytes16 jobId = _idOf(spec);
        bool isOpen = _isRequestable(spec) && _core.jobs(jobId).state == IEmethCore.State.NONE;
        Expected expected = isOpen ? _behaviour.ofPull() : Expected.FAILURE;
        Outcome memory outcome = Rules.request(_jobOf(jobId, spec), _core.terms(_core.currentTerms()));
        if (_ledger.request(spec.requester, jobId, data, expected, outcome)) _specs[jobId] = spec;
    }

    function _isRequestable(Spec memory spec) private view returns (bool) {
        IEmethCore.Terms memory rules = _core.terms(_core.currentTerms());
        bool isInTime = spec.deadline >= _now() + rules.minWork && spec.deadline <= _now() + 365 days;
        return !_core.paused() && spec.fee >= rules.minFee && spec.fuel > 0 && isInTime;
    }

    function _jobOf(bytes16 jobId, Spec memory spec) private view returns (IEmethCore.Job memory job) {
        (job.requester, job.fee, job.fuelLimit, job.deadline) = (spec.requester, spec.fee, spec.fuel, spec.deadline);
        (job.termsId, job.challenger) = (_core.currentTerms(), _core.jobs(jobId).challenger);
    }

    function _dataOf(Spec memory spec) private view returns (bytes memory) {
        return abi.encodeCall(_core.request, ("data", "{}", spec.fee, spec.fuel, spec.deadline, spec.salt));
    }

    function _idOf(Spec memory spec) private view returns (bytes16) {
        bytes32 work = keccak256(abi.encode(keccak256("data"), keccak256("{}"), spec.fee, spec.fuel, spec.deadline));
        return bytes16(keccak256(abi.encode(block.chainid, address(_core), spec.requester, spec.salt, work)));
    }
}
