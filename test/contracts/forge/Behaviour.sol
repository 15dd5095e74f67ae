// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Expected} from "./Outcome.sol";
import {HostileToken} from "./HostileToken.sol";

/// @notice What may be expected of the token under test: of this one, that it always does what it is asked.
contract Behaviour {
    /// @notice Of a call that takes tokens from an account that has enough, as every account of the crowd
    /// has.
    function ofPull() external view virtual returns (Expected) {
        return Expected.SUCCESS;
    }

    /// @notice Of a withdrawal that the books cover.
    function ofTransfer() external view virtual returns (Expected) {
        return Expected.SUCCESS;
    }

    /// @notice Whether the receiver gets exactly what the sender loses.
    function isExact() external view virtual returns (bool) {
        return true;
    }

    /// @notice How many calls from within a transfer have succeeded so far. After one, more happened than the
    /// outer call says.
    function reentries() external view virtual returns (uint256) {
        return 0;
    }

    /// @notice The job that the token may change from within another call; zero if none.
    function reentered() external view virtual returns (bytes16) {
        return 0;
    }
}

/// @notice The same of a token that changes its behaviour between calls.
contract HostileBehaviour is Behaviour {
    HostileToken private immutable _token;
    bytes16 private _reentered;

    constructor(HostileToken token) {
        _token = token;
    }

    /// @param job The job that `data` is about, if it is a call to the escrow about one.
    function misbehave(HostileToken.Mode mode, address target, bytes calldata data, bytes16 job) external {
        _reentered = job;
        _token.misbehave(mode, target, data);
    }

    function ofPull() external view override returns (Expected) {
        HostileToken.Mode mode = _token.mode();
        bool isKind = mode == HostileToken.Mode.KIND || mode == HostileToken.Mode.RETURNS_NOTHING;
        return isKind ? Expected.SUCCESS : Expected.EITHER;
    }

    function ofTransfer() external view override returns (Expected) {
        HostileToken.Mode mode = _token.mode();
        bool isRefused = mode == HostileToken.Mode.ANSWERS_FALSE || mode == HostileToken.Mode.BLOCKS;
        return isRefused ? Expected.EITHER : Expected.SUCCESS;
    }

    function isExact() external view override returns (bool) {
        return _token.mode() != HostileToken.Mode.TAKES_A_FEE;
    }

    function reentries() external view override returns (uint256) {
        return _token.entered();
    }

    function reentered() external view override returns (bytes16) {
        return _reentered;
    }
}
