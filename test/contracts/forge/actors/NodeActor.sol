// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {INodeRegistry} from "../../../../src/contracts/interfaces/INodeRegistry.sol";
import {ACCOUNTS, MIN_STAKE, NODES} from "../Crowd.sol";
import {Ledger} from "../Ledger.sol";
import {Expected, Outcome, Outcomes} from "../Outcome.sol";
import {vm} from "../Vm.sol";
import {Actor} from "./Actor.sol";

/// @notice Everything that is done at the registry. Stakes are books of money too, and are compared after
/// every act.
contract NodeActor is Actor {
    /// @dev What the registry does not say of a node, and the stake as last seen.
    struct Past {
        uint256 deactivatedAt;
        uint256 proposedAt;
        uint256 stake;
    }

    mapping(address node => Past) private _pasts;

    constructor(Ledger ledger) Actor(ledger) {}

    /// @param isLikely Whether the owner of the node's organisation calls, who may.
    function enrol(uint256 index, uint96 stake, uint256 account, bool isLikely) public {
        index %= NODES;
        address owner = _crowd.ownerOf(index);
        address by = isLikely ? owner : _accounts[account % ACCOUNTS];
        bool isFree = _nodeOf(index).status == INodeRegistry.Status.NONE;
        stake = uint96(_bound(stake, MIN_STAKE - 1, MIN_STAKE + 10));
        bool isDone = _call(by, _crowd.registration(index, by, stake));
        bool isAllowed = isFree && by == owner && stake >= MIN_STAKE;
        if (isDone && !isAllowed) _ledger.report("3: a node was registered against the rules");
        _compareStakes();
    }

    /// @notice Everything else that is done with one node.
    /// @param isPatient Whether the caller waits until it may.
    function operate(uint256 index, uint256 kind, uint256 account, bool isLikely, bool isPatient) external {
        index %= NODES;
        INodeRegistry.Node memory before = _nodeOf(index);
        if (isLikely && isPatient) before = _prepare(before, kind % 7, account);
        uint256 opensAt = kind % 7 == 1 ? before.unbondsAt : kind % 7 == 2 ? before.payoutOpensAt : 0;
        if (isPatient && opensAt > _now()) vm.warp(opensAt);
        address by = isLikely ? before.operator : _accounts[account % ACCOUNTS];
        kind %= 7;
        if (kind == 0) _deactivate(before, by);
        else if (kind == 1) _withdrawStake(before, by);
        else if (kind == 2) _confirmPayout(before, isLikely ? _somebody(before.nextPayout) : by);
        else if (kind == 3) _proposePayout(before, by, _accounts[account % ACCOUNTS]);
        else if (kind == 4) _call(by, abi.encodeCall(_registry.reactivate, (before.node)));
        else if (kind == 5) _call(by, abi.encodeCall(_registry.cancelPayoutChange, (before.node)));
        else _call(by, abi.encodeCall(_registry.addStake, (before.node, uint96(account % 1e18))));
        _compareStakes();
    }

    /// @notice The organisation goes to another account, with its nodes and their stakes.
    function handOver(uint256 index, uint256 account) external {
        index %= NODES;
        bytes32 organisation = _crowd.organisationOf(index);
        address next = _accounts[account % ACCOUNTS];
        _call(_crowd.ownerOf(index), abi.encodeCall(_registry.offerOrganisation, (organisation, next)));
        _call(next, abi.encodeCall(_registry.takeOrganisation, (organisation)));
        if (_crowd.ownerOf(index) != next) _ledger.report("4: an organisation could not be handed over");
    }

    /// @notice Brings nodes back that left, where their owners can.
    function restore() external {
        for (uint256 i = 0; i < NODES; ++i) {
            INodeRegistry.Node memory node = _nodeOf(i);
            if (node.status == INodeRegistry.Status.UNBONDING) {
                _call(node.operator, abi.encodeCall(_registry.reactivate, (node.node)));
            } else if (node.status == INodeRegistry.Status.NONE) {
                enrol(i, 1, 0, true);
            }
        }
    }

    /// @dev Does what has to come before, sometimes.
    function _prepare(INodeRegistry.Node memory node, uint256 kind, uint256 account) private returns (INodeRegistry.Node memory) {
        if (kind == 1 && node.status == INodeRegistry.Status.ACTIVE) _deactivate(node, node.operator);
        if (kind == 2 && node.status != INodeRegistry.Status.NONE) {
            _proposePayout(node, node.operator, _accounts[account % ACCOUNTS]);
        }
        return _registry.nodeOf(node.node);
    }

    function _deactivate(INodeRegistry.Node memory node, address by) private {
        bool isOpen = node.status == INodeRegistry.Status.ACTIVE && (by == node.operator || by == node.node);
        bool isDone = _call(by, abi.encodeCall(_registry.deactivate, (node.node)));
        if (isDone != isOpen) _ledger.report("7: a node could not leave, or was made to");
        if (isDone) _pasts[node.node].deactivatedAt = _now();
    }

    function _withdrawStake(INodeRegistry.Node memory node, address by) private {
        bool isOpen = node.status == INodeRegistry.Status.UNBONDING && by == node.operator
            && _now() >= _pasts[node.node].deactivatedAt + 7 days;
        Outcome memory outcome = Outcomes.none();
        outcome.receives(by, node.stake);
        bool isDone = _ledger.callRegistry(by, abi.encodeCall(_registry.withdrawStake, (node.node)), outcome);
        if (isDone && !isOpen) _ledger.report("3: a stake was taken out against the rules");
        bool isBlocked = !isDone && isOpen && _behaviour.ofTransfer() == Expected.SUCCESS;
        if (isBlocked) _ledger.report("7: a stake could not be taken out");
    }

    function _proposePayout(INodeRegistry.Node memory node, address by, address payout) private {
        bool isDone = _call(by, abi.encodeCall(_registry.proposePayout, (node.node, payout)));
        if (isDone && by != node.operator) _ledger.report("3: a stranger proposed a payout wallet");
        if (isDone) _pasts[node.node].proposedAt = _now();
    }

    function _confirmPayout(INodeRegistry.Node memory node, address by) private {
        bool isOpen = by == node.nextPayout && _now() >= _pasts[node.node].proposedAt + 2 days;
        bool isDone = _call(by, abi.encodeCall(_registry.confirmPayout, (node.node)));
        if (isDone != isOpen) _ledger.report("3: a payout wallet was changed against the rules, or could not be");
    }

    function _call(address by, bytes memory data) private returns (bool) {
        return _ledger.callRegistry(by, data, Outcomes.none());
    }

    /// @dev A stake falls only to nothing, and the escrow has no node as active that has left.
    function _compareStakes() private {
        uint256 sum = 0;
        bool isAsked = _core.registry() == address(_registry);
        for (uint256 i = 0; i < NODES; ++i) {
            INodeRegistry.Node memory node = _nodeOf(i);
            sum += node.stake;
            if (node.stake < _pasts[node.node].stake && node.stake != 0) _ledger.report("6: a stake fell");
            _pasts[node.node].stake = node.stake;
            bool isOut = node.status != INodeRegistry.Status.ACTIVE;
            if (isAsked && isOut && _core.isActive(node.node)) _ledger.report("3: a node that left may take jobs");
        }
        if (_token.balanceOf(address(_registry)) != sum) _ledger.report("1: the registry's balance is not the stakes");
    }

    function _nodeOf(uint256 index) private view returns (INodeRegistry.Node memory) {
        return _registry.nodeOf(_node(index));
    }
}
