// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AccessControlDefaultAdminRules} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {IEmethAccounts} from "./interfaces/IEmethAccounts.sol";
import {IEmethCore} from "./interfaces/IEmethCore.sol";

/// @title What an administrator may set
/// @notice Terms of future jobs, within fixed bounds; the verifiers; the registry that counts; a pause of
/// request and process. Nothing here moves anybody's money or touches a job that exists. Changing the
/// administrator takes two steps and a delay.
abstract contract Governed is IEmethCore, AccessControlDefaultAdminRules {
    /// @inheritdoc IEmethAccounts
    bytes32 public constant VERIFIER_ROLE = keccak256("VERIFIER_ROLE");
    /// @inheritdoc IEmethAccounts
    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");

    uint256 internal constant BPS = 10_000;
    uint48 private constant ADMIN_DELAY = 2 days;

    /// @inheritdoc IEmethAccounts
    address public registry;
    /// @inheritdoc IEmethAccounts
    uint8 public registryNumber;
    /// @inheritdoc IEmethCore
    bool public paused;
    /// @inheritdoc IEmethCore
    uint8 public currentTerms;

    mapping(uint8 termsId => Terms) internal _terms;

    constructor(address admin, Terms memory firstTerms, address[] memory verifiers, address registry_)
        AccessControlDefaultAdminRules(ADMIN_DELAY, admin)
    {
        _setTerms(0, firstTerms);
        _setRegistry(registry_);
        for (uint256 i = 0; i < verifiers.length; ++i) _grantRole(VERIFIER_ROLE, verifiers[i]);
    }

    /// @inheritdoc IEmethCore
    function terms(uint8 termsId) external view returns (Terms memory) {
        return _terms[termsId];
    }

    /// @inheritdoc IEmethCore
    function setTerms(Terms calldata next) external onlyRole(DEFAULT_ADMIN_ROLE) {
        // Check and effect: new terms get a new number, so that running jobs keep theirs.
        _setTerms(++currentTerms, next);
    }

    /// @inheritdoc IEmethAccounts
    function setRegistry(address next) external onlyRole(DEFAULT_ADMIN_ROLE) {
        // Effect: the registry is set; the modifier has checked the caller.
        _setRegistry(next);
    }

    /// @inheritdoc IEmethCore
    function setPaused(bool next) external onlyRole(PAUSER_ROLE) {
        // Effect: the pause is set; the modifier has checked the caller.
        paused = next;
        emit PausedChanged(next);
    }

    function _setTerms(uint8 termsId, Terms memory next) private {
        // Check: every field is within its bounds.
        _requireBetween("minFee", next.minFee, 1, 1_000_000 ether);
        // Without a penalty a challenge would need no bond. Above half the fee, an honest node would lose too
        // much by bad luck.
        _requireBetween("penaltyBps", next.penaltyBps, 100, 5_000);
        // A rejected node's penalty pays the verifier, and as much again may go to a challenger; half is
        // always burnt.
        _requireBetween("verifierBps", next.verifierBps, 0, next.penaltyBps / 4);
        _requireBetween("declineBps", next.declineBps, 0, next.penaltyBps);
        _requireBetween("tipBps", next.tipBps, 0, 1_000);
        _requireBetween("burnBps", next.burnBps, 0, 2_000);
        // A quorum that cannot be reached would leave every result to time.
        _requireBetween("quorum", next.quorum, 1, 16);
        _requireBetween("minWork", next.minWork, 0, 1 days);
        _requireBetween("verdictWindow", next.verdictWindow, 10 minutes, 14 days);
        _requireBetween("claimWindow", next.claimWindow, 7 days, 180 days);
        // Effect: the terms are stored.
        _terms[termsId] = next;
        emit TermsChanged(termsId, next);
    }

    function _requireBetween(bytes32 field, uint256 value, uint256 least, uint256 most) private pure {
        if (value < least || value > most) revert EmethCore_TermsOutOfBounds(field, value, least, most);
    }

    function _setRegistry(address next) private {
        // Effect: the registry is set, under the next number.
        (registry, registryNumber) = (next, registryNumber + 1);
        emit RegistryChanged(next);
    }
}
