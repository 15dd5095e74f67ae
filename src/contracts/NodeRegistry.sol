// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ExactTransfer} from "./ExactTransfer.sol";
import {IEmethCore} from "./interfaces/IEmethCore.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";

/// @title The nodes that take jobs, their organisations and stakes
/// @dev Has no administrator. It reports every change to the escrow, so that taking a job needs no call to
/// this contract.
contract NodeRegistry is INodeRegistry, EIP712, Nonces, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    bytes32 private constant ENROLMENT = keccak256(
        "Enrolment(address node,address operator,bytes32 organisation,address payout,bytes32 capabilityHash,string capabilityUri,uint32 computeUnits,uint256 nonce,uint256 deadline)"
    );
    uint256 private constant MAX_NAME = 64;
    uint256 private constant MAX_URI = 256;
    uint40 private constant UNBONDING = 7 days;
    uint40 private constant PAYOUT_DELAY = 2 days;

    /// @dev The operator is not stored: it is the organisation's owner, so handing over an organisation
    /// changes no node.
    struct StoredNode {
        Status status;
        uint32 computeUnits;
        uint96 stake;
        uint40 unbondsAt;
        bool isListed;
        uint40 payoutOpensAt;
        address payout;
        address nextPayout;
        bytes32 organisation;
        bytes32 capabilityHash;
        string capabilityUri;
    }

    /// @inheritdoc INodeRegistry
    IEmethCore public immutable core;
    /// @inheritdoc INodeRegistry
    IERC20 public immutable token;
    /// @inheritdoc INodeRegistry
    uint96 public immutable minStake;

    mapping(bytes32 organisation => Organisation) private _organisations;
    mapping(address node => StoredNode) private _nodes;
    address[] private _list;

    constructor(IEmethCore core_, IERC20 token_, uint96 minStake_) EIP712("NodeRegistry", "1") {
        (core, token, minStake) = (core_, token_, minStake_);
    }

    // ------------------------------------------------------------------------------------------------- organisations

    /// @inheritdoc INodeRegistry
    function createOrganisation(string calldata name) external returns (bytes32 organisation) {
        // Check: the name has a valid length and is not taken.
        uint256 length = bytes(name).length;
        if (length == 0 || length > MAX_NAME) revert NodeRegistry_WrongName(length);
        organisation = keccak256(bytes(name));
        if (_organisations[organisation].owner != address(0)) revert NodeRegistry_OrganisationExists(organisation);
        // Effect: the caller owns a new organisation.
        (_organisations[organisation].owner, _organisations[organisation].name) = (msg.sender, name);
        emit OrganisationCreated(organisation, msg.sender, name);
    }

    /// @inheritdoc INodeRegistry
    function offerOrganisation(bytes32 organisation, address nextOwner) external {
        // Check: the caller owns the organisation.
        _requireOwner(organisation);
        // Effect: the named account may take it over.
        _organisations[organisation].nextOwner = nextOwner;
        emit OrganisationOffered(organisation, nextOwner);
    }

    /// @inheritdoc INodeRegistry
    function takeOrganisation(bytes32 organisation) external {
        Organisation storage taken = _organisations[organisation];
        // Check: the caller is the account that the owner named.
        if (msg.sender != taken.nextOwner) revert NodeRegistry_NotNextOwner(organisation, msg.sender);
        // Effect: the organisation changes hands.
        (taken.owner, taken.nextOwner) = (msg.sender, address(0));
        emit OrganisationTaken(organisation, msg.sender);
    }

    // --------------------------------------------------------------------------------------------------------- nodes

    /// @inheritdoc INodeRegistry
    function register(Enrolment calldata enrolment, uint96 stake, bytes calldata signature) external nonReentrant {
        address node = enrolment.node;
        StoredNode storage stored = _nodes[node];
        // Check: the owner of the organisation calls, the node is new or has left, stake and wallet are
        // valid, and the node agrees.
        _requireOwner(enrolment.organisation);
        _requireStatus(node, Status.NONE);
        if (stake < minStake) revert NodeRegistry_StakeTooLow(stake, minStake);
        if (enrolment.payout == address(0)) revert NodeRegistry_NoPayout(node);
        // Otherwise a node could leave and return to change its wallet without the delay and the veto of the
        // present wallet.
        if (stored.payout != address(0) && stored.payout != enrolment.payout) revert NodeRegistry_OtherPayout(node, stored.payout);
        if (msg.sender != node) _requireSignature(enrolment, signature);
        // Effect: the node is active and listed once.
        (stored.organisation, stored.payout, stored.nextPayout) = (enrolment.organisation, enrolment.payout, address(0));
        (stored.status, stored.stake, stored.unbondsAt, stored.payoutOpensAt) = (Status.ACTIVE, stake, 0, 0);
        if (!stored.isListed) {
            stored.isListed = true;
            _list.push(node);
        }
        emit NodeRegistered(node, enrolment.organisation, msg.sender, enrolment.payout);
        emit StakeAdded(node, msg.sender, stake);
        _setCapability(node, enrolment.capabilityHash, enrolment.capabilityUri, enrolment.computeUnits);
        // Interaction: the escrow learns of the node, and the stake comes in.
        sync(node);
        ExactTransfer.pull(token, msg.sender, stake);
    }

    /// @inheritdoc INodeRegistry
    function addStake(address node, uint96 amount) external nonReentrant {
        // Check: the node is registered, so that an operator can withdraw the stake.
        _requireRegistered(node);
        // Effect: the stake grows.
        _nodes[node].stake += amount;
        emit StakeAdded(node, msg.sender, amount);
        // Interaction: the amount comes in.
        ExactTransfer.pull(token, msg.sender, amount);
    }

    /// @inheritdoc INodeRegistry
    function setCapability(address node, bytes32 capabilityHash, string calldata capabilityUri, uint32 computeUnits) external {
        // Check: the node is registered, and the caller is the node or its operator.
        _requireRegistered(node);
        _requireNodeOrOperator(node);
        // Effect: the capability is stored.
        _setCapability(node, capabilityHash, capabilityUri, computeUnits);
    }

    /// @inheritdoc INodeRegistry
    function proposePayout(address node, address payout) external {
        // Check: the node is registered, the caller is its operator, and there is a wallet.
        _requireRegistered(node);
        _requireOperator(node);
        if (payout == address(0)) revert NodeRegistry_NoPayout(node);
        // Effect: the change waits for its delay.
        uint40 opensAt = uint40(block.timestamp) + PAYOUT_DELAY;
        (_nodes[node].nextPayout, _nodes[node].payoutOpensAt) = (payout, opensAt);
        emit PayoutProposed(node, payout, opensAt);
    }

    /// @inheritdoc INodeRegistry
    function confirmPayout(address node) external {
        StoredNode storage stored = _nodes[node];
        // Check: the caller is the proposed wallet, and the delay, in which the present wallet can object, is
        // over.
        if (msg.sender != stored.nextPayout) revert NodeRegistry_NotNextPayout(node, msg.sender);
        if (block.timestamp < stored.payoutOpensAt) revert NodeRegistry_TooEarly(node, stored.payoutOpensAt);
        // Effect: the wallet is changed.
        (stored.payout, stored.nextPayout, stored.payoutOpensAt) = (msg.sender, address(0), 0);
        emit PayoutChanged(node, msg.sender);
    }

    /// @inheritdoc INodeRegistry
    function cancelPayoutChange(address node) external {
        // Check: the caller is the present wallet or the operator.
        if (msg.sender != _nodes[node].payout) _requireOperator(node);
        // Effect: the change is dropped.
        (_nodes[node].nextPayout, _nodes[node].payoutOpensAt) = (address(0), 0);
        emit PayoutChangeCanceled(node);
    }

    /// @inheritdoc INodeRegistry
    function deactivate(address node) external {
        // Check: the caller is the node or its operator, and the node is active.
        _requireNodeOrOperator(node);
        _requireStatus(node, Status.ACTIVE);
        // Effect: the node unbonds.
        uint40 unbondsAt = uint40(block.timestamp) + UNBONDING;
        (_nodes[node].status, _nodes[node].unbondsAt) = (Status.UNBONDING, unbondsAt);
        emit NodeDeactivated(node, unbondsAt);
        // Interaction: the escrow learns of it.
        sync(node);
    }

    /// @inheritdoc INodeRegistry
    function reactivate(address node) external {
        // Check: the caller is the operator, and the node is unbonding.
        _requireOperator(node);
        _requireStatus(node, Status.UNBONDING);
        // Effect: the node is active again.
        (_nodes[node].status, _nodes[node].unbondsAt) = (Status.ACTIVE, 0);
        emit NodeReactivated(node);
        // Interaction: the escrow learns of it.
        sync(node);
    }

    /// @inheritdoc INodeRegistry
    function withdrawStake(address node) external nonReentrant {
        StoredNode storage stored = _nodes[node];
        // Check: the caller is the operator, and the unbonding time is over.
        _requireOperator(node);
        _requireStatus(node, Status.UNBONDING);
        if (block.timestamp < stored.unbondsAt) revert NodeRegistry_TooEarly(node, stored.unbondsAt);
        // Effect: `isListed` stays, so that a node that registers again is not listed twice.
        uint256 amount = stored.stake;
        (stored.status, stored.stake, stored.unbondsAt) = (Status.NONE, 0, 0);
        emit StakeWithdrawn(node, msg.sender, amount);
        // Interaction: the stake goes out.
        token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc INodeRegistry
    function sync(address node) public {
        // Interaction: skipped when the escrow has another registry and would refuse it, so that nodes can
        // still leave.
        if (core.registry() == address(this)) core.setActive(node, _nodes[node].status == Status.ACTIVE);
    }

    // --------------------------------------------------------------------------------------------------------- views

    /// @inheritdoc INodeRegistry
    function organisationOf(bytes32 organisation) external view returns (Organisation memory) {
        return _organisations[organisation];
    }

    /// @inheritdoc INodeRegistry
    function payoutOf(address node) external view returns (address) {
        return _nodes[node].payout;
    }

    /// @inheritdoc INodeRegistry
    function nodeCount() external view returns (uint256) {
        return _list.length;
    }

    /// @inheritdoc INodeRegistry
    function nodesFrom(uint256 index, uint256 count) external view returns (Node[] memory nodes) {
        uint256 left = index < _list.length ? _list.length - index : 0;
        nodes = new Node[](count < left ? count : left);
        for (uint256 i = 0; i < nodes.length; ++i) nodes[i] = nodeOf(_list[index + i]);
    }

    /// @inheritdoc INodeRegistry
    function nodeOf(address node) public view returns (Node memory) {
        StoredNode storage stored = _nodes[node];
        return Node({
            node: node,
            status: stored.status,
            operator: _organisations[stored.organisation].owner,
            organisation: stored.organisation,
            payout: stored.payout,
            nextPayout: stored.nextPayout,
            payoutOpensAt: stored.payoutOpensAt,
            capabilityHash: stored.capabilityHash,
            capabilityUri: stored.capabilityUri,
            computeUnits: stored.computeUnits,
            stake: stored.stake,
            unbondsAt: stored.unbondsAt
        });
    }

    // -------------------------------------------------------------------------------------------------------- checks

    function _requireOwner(bytes32 organisation) private view {
        if (msg.sender != _organisations[organisation].owner) revert NodeRegistry_NotOwner(organisation, msg.sender);
    }

    function _requireOperator(address node) private view {
        if (msg.sender != _organisations[_nodes[node].organisation].owner) revert NodeRegistry_NotOperator(node, msg.sender);
    }

    function _requireNodeOrOperator(address node) private view {
        if (msg.sender != node) _requireOperator(node);
    }

    function _requireRegistered(address node) private view {
        if (_nodes[node].status == Status.NONE) revert NodeRegistry_WrongStatus(node, Status.NONE, Status.ACTIVE);
    }

    function _requireStatus(address node, Status needed) private view {
        Status status = _nodes[node].status;
        if (status != needed) revert NodeRegistry_WrongStatus(node, status, needed);
    }

    function _requireSignature(Enrolment calldata enrolment, bytes calldata signature) private {
        if (block.timestamp > enrolment.deadline) revert NodeRegistry_SignatureExpired(enrolment.deadline);
        bytes32 content = keccak256(
            abi.encode(
                ENROLMENT,
                enrolment.node,
                msg.sender,
                enrolment.organisation,
                enrolment.payout,
                enrolment.capabilityHash,
                keccak256(bytes(enrolment.capabilityUri)),
                enrolment.computeUnits,
                _useNonce(enrolment.node),
                enrolment.deadline
            )
        );
        address signer = ECDSA.recoverCalldata(_hashTypedDataV4(content), signature);
        if (signer != enrolment.node) revert NodeRegistry_WrongSignature(signer, enrolment.node);
    }

    function _setCapability(address node, bytes32 capabilityHash, string calldata capabilityUri, uint32 computeUnits) private {
        // Check: the URI is not too long.
        if (bytes(capabilityUri).length > MAX_URI) revert NodeRegistry_UriTooLong(bytes(capabilityUri).length);
        // Effect: the capability is stored.
        StoredNode storage stored = _nodes[node];
        (stored.capabilityHash, stored.capabilityUri, stored.computeUnits) = (capabilityHash, capabilityUri, computeUnits);
        emit CapabilityChanged(node, capabilityHash, capabilityUri, computeUnits);
    }
}
