// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {ACCOUNTS, ADMIN, FIRST_VERIFIER, NODES} from "../Crowd.sol";
import {Ledger, NO_JOB} from "../Ledger.sol";
import {Expected, Outcomes} from "../Outcome.sol";
import {Actor} from "./Actor.sol";

/// @notice The administrator, and others who try what only the administrator may do.
contract AdminActor is Actor {
    /// @dev A registry in which nobody is registered.
    address private constant EMPTY_REGISTRY = address(0xDEAD);

    constructor(Ledger ledger) Actor(ledger) {}

    /// @notice The administrator changes what it may; no job that exists may be affected.
    function govern(uint256 kind, uint16 bps, bool flag) external {
        bytes memory data = abi.encodeCall(_core.setTerms, (_nextTerms(kind, bps)));
        if (kind % 5 == 1) data = abi.encodeCall(_core.setPaused, (flag));
        if (kind % 5 == 2) data = _verifierChange(flag);
        if (kind % 5 == 3) data = abi.encodeCall(_core.setRegistry, (_nextRegistry(bps)));
        if (kind % 5 == 3 && _core.registryNumber() == type(uint8).max) return;
        _call(data);
        _ledger.checkAllRules();
        // A change that lasted would leave little to look at.
        if (bps % 4 > 0) restore();
    }

    /// @notice Anybody tries what only the administrator may do.
    function overreach(uint256 kind, uint256 account) external {
        address by = _accounts[account % ACCOUNTS];
        bytes memory data = abi.encodeCall(_core.setTerms, (_nextTerms(kind, 0)));
        if (kind % 4 == 1) data = abi.encodeCall(_core.setPaused, (true));
        if (kind % 4 == 2) data = abi.encodeCall(_core.setRegistry, (EMPTY_REGISTRY));
        if (kind % 4 == 3) data = abi.encodeCall(_core.setActive, (by, true));
        _ledger.call(by, NO_JOB, data, Expected.FAILURE, Outcomes.none());
    }

    /// @notice Ends a pause and brings back the registry, its nodes and the second verifier.
    function restore() public {
        if (_core.paused()) _call(abi.encodeCall(_core.setPaused, (false)));
        bool isAway = _core.registry() != address(_registry) && _core.registryNumber() < type(uint8).max;
        if (isAway) _call(abi.encodeCall(_core.setRegistry, (address(_registry))));
        bool isVerifier = _core.hasRole(_core.VERIFIER_ROLE(), _accounts[FIRST_VERIFIER + 1]);
        if (!isVerifier) _call(_verifierChange(true));
        for (uint256 i = 0; i < NODES; ++i) if (!_core.isActive(_node(i))) _registry.sync(_node(i));
    }

    function _call(bytes memory data) private {
        _ledger.call(ADMIN, NO_JOB, data, Expected.SUCCESS, Outcomes.none());
    }

    function _nextTerms(uint256 kind, uint16 bps) private view returns (IEmethCore.Terms memory next) {
        next = _core.terms(_core.currentTerms());
        next.penaltyBps = uint16(_bound(bps, 100, 5000));
        (next.verifierBps, next.declineBps, next.burnBps) = (next.penaltyBps / 4, next.penaltyBps / 2, next.penaltyBps / 3);
        next.quorum = uint8(1 + kind / 5 % 2);
        next.verdictWindow = uint24(_bound(bps, 10 minutes, 2 hours));
        next.claimWindow = uint24(_bound(kind, 7 days, 90 days));
    }

    function _verifierChange(bool flag) private view returns (bytes memory) {
        (bytes32 role, address verifier) = (_core.VERIFIER_ROLE(), _accounts[FIRST_VERIFIER + 1]);
        return flag ? abi.encodeCall(_core.grantRole, (role, verifier)) : abi.encodeCall(_core.revokeRole, (role, verifier));
    }

    /// @dev To none or to the empty one, and mostly back.
    function _nextRegistry(uint256 seed) private view returns (address) {
        if (_core.registry() != address(_registry) || seed % 3 == 0) return address(_registry);
        return seed % 3 == 1 ? address(0) : EMPTY_REGISTRY;
    }
}
