// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AccessControlDefaultAdminRules} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {IEmethCore} from "./interfaces/IEmethCore.sol";

/// @title What an administrator may set
/// @notice Terms for jobs to come, within fixed bounds; who verifies; a pause of request and process. Nothing here moves anybody's
/// money or touches a job that exists. Changing the administrator takes two steps and a delay.
abstract contract Governed is IEmethCore, AccessControlDefaultAdminRules {
    bytes32 public constant VERIFIER_ROLE = keccak256("VERIFIER_ROLE");
    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");

    uint256 internal constant BPS = 10_000;
    uint48 private constant ADMIN_DELAY = 2 days;

    /// @inheritdoc IEmethCore
    address public registry;
    /// @notice The how-manieth registry it is: what an earlier one said of a node is void.
    uint8 public registryNumber;
    /// @notice Blocks request and process only: every exit stays open.
    bool public paused;
    /// @notice The terms new jobs get.
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

    /// @notice New terms for jobs requested from now on. There can be 256 of them; then deploy a new contract.
    function setTerms(Terms calldata next) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _setTerms(++currentTerms, next);
    }

    /// @notice Another registry, or none. Nodes must be told of anew, by `sync` of the registry. There can be 255 of them.
    function setRegistry(address next) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _setRegistry(next);
    }

    function setPaused(bool next) external onlyRole(PAUSER_ROLE) {
        paused = next;
        emit PausedChanged(next);
    }

    function _setTerms(uint8 termsId, Terms memory next) private {
        bool isBounded = next.penaltyBps <= 5_000 && next.verifierBps <= next.penaltyBps / 4 && next.declineBps <= next.penaltyBps
            && next.tipBps <= 1_000 && next.burnBps <= 2_000 && next.quorum > 0 && next.minFee > 0 && next.minWork <= 1 days
            && next.verdictWindow >= 10 minutes && next.verdictWindow <= 14 days && next.claimWindow >= 7 days
            && next.claimWindow <= 180 days;
        if (!isBounded) revert EmethCore_TermsOutOfBounds();
        _terms[termsId] = next;
        emit TermsChanged(termsId, next);
    }

    function _setRegistry(address next) private {
        (registry, registryNumber) = (next, registryNumber + 1);
        emit RegistryChanged(next);
    }
}
