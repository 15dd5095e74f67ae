// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {vm} from "../Vm.sol";
import {Fixture} from "./Fixture.sol";

/// @notice What the tests of the escrow's functions share: a job in any state, its errors in full, and calls as bytes.
abstract contract EscrowFixture is Fixture {
    bytes32 private constant ATTESTATION =
        keccak256("Attestation(bytes16 jobId,bytes20 commitment,bool accepted,bytes16 reasonHash)");
    bytes32 private constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    // ---------------------------------------------------------------------------------------------------------- jobs

    function _jobIn(IEmethCore.State state, uint256 salt) internal returns (bytes16) {
        return world.jobIn(state, salt);
    }

    /// @dev The id that the specification says, computed anew.
    function _idOf(address by, uint256 salt, uint96 fee, uint40 fuel, uint256 deadline) internal view returns (bytes16) {
        bytes32 spec =
            keccak256(abi.encode(keccak256(bytes(DATASET)), keccak256(bytes(PARAMS)), fee, fuel, uint40(deadline)));
        return bytes16(keccak256(abi.encode(block.chainid, address(core), by, salt, spec)));
    }

    /// @dev In every state but these two, the call must be refused by the error that names state and need.
    function _refusedInAllBut(
        IEmethCore.State needed,
        IEmethCore.State alsoGood,
        address caller,
        function(bytes16) view returns (bytes memory) callOf
    ) internal {
        for (uint8 i = 0; i <= uint8(IEmethCore.State.UNVERIFIED); ++i) {
            IEmethCore.State state = IEmethCore.State(i);
            if (state == needed || state == alsoGood) continue;
            bytes16 job = _jobIn(state, 100 + i);
            _inState(job, state);
            _refuses(caller, callOf(job), _wrongState(job, state, needed));
            _inState(job, state);
        }
    }

    function _refusedInAllBut(IEmethCore.State needed, address caller, function(bytes16) view returns (bytes memory) callOf)
        internal
    {
        _refusedInAllBut(needed, needed, caller, callOf);
    }

    /// @dev A job exactly as the contract must show it.
    function _isJob(bytes16 job, IEmethCore.Job memory expected) internal view {
        _equal(keccak256(abi.encode(core.jobs(job))), keccak256(abi.encode(expected)), "the job as it is shown");
    }

    /// @dev A job as `_requested` leaves it; tests change what their call must have changed.
    function _freshJob(uint256 deadline) internal view returns (IEmethCore.Job memory job) {
        (job.state, job.requester, job.fee) = (IEmethCore.State.REQUESTED, requester, FEE);
        (job.fuelLimit, job.deadline) = (FUEL, uint40(deadline));
    }

    /// @dev Of a job that paid for no result only the state is kept.
    function _endedJob(IEmethCore.State state) internal pure returns (IEmethCore.Job memory job) {
        job.state = state;
    }

    // --------------------------------------------------------------------------------------------------------- errors

    function _wrongState(bytes16 job, IEmethCore.State state, IEmethCore.State needed) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_WrongState.selector, job, state, needed);
    }

    function _notNode(bytes16 job, address caller) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_NotNode.selector, job, caller);
    }

    function _notRequester(bytes16 job, address caller) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_NotRequester.selector, job, caller);
    }

    function _deadlinePassed(bytes16 job, uint256 deadline) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_DeadlinePassed.selector, job, deadline);
    }

    function _tooEarly(bytes16 job, uint256 opensAt) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_TooEarly.selector, job, opensAt);
    }

    function _wrongResult(bytes16 job, bytes20 commitment) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_WrongResult.selector, job, commitment);
    }

    function _wrongPayout(bytes16 job, uint256 sum, uint256 payout) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_WrongPayout.selector, job, sum, payout);
    }

    function _notEnoughCredit(address account, uint256 owned, uint256 amount) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_NotEnoughCredit.selector, account, owned, amount);
    }

    function _notVerifier(address account) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_NotVerifier.selector, account);
    }

    function _paused() internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEmethCore.EmethCore_Paused.selector);
    }

    // ----------------------------------------------------------------------------------------------------- signatures

    function _digest(bytes32 content) internal view returns (bytes32) {
        bytes32 domain =
            keccak256(abi.encode(DOMAIN, keccak256("EmethCore"), keccak256("1"), block.chainid, address(core)));
        return keccak256(abi.encodePacked(hex"1901", domain, content));
    }

    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _attest(uint256 key, bytes16 job, bool accepted, bytes16 reason) internal view returns (bytes memory) {
        return _sign(key, _digest(keccak256(abi.encode(ATTESTATION, job, _commitment(), accepted, reason))));
    }

    // ------------------------------------------------------------------------------------------------------- settings

    function _pause() internal {
        core.grantRole(core.PAUSER_ROLE(), admin);
        core.setPaused(true);
    }
}
