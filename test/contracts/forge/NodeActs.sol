// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {INodeRegistry} from "../../../src/contracts/interfaces/INodeRegistry.sol";
import {TurnActs} from "./TurnActs.sol";
import {vm} from "./Vm.sol";

/// @notice What a crowd does at the registry. Stakes are books of money too, and are compared after every act.
abstract contract NodeActs is TurnActs {
    /// @dev What of a node is remembered beside the registry.
    struct Past {
        uint256 deactivatedAt;
        uint256 proposedAt;
        uint256 stake;
    }

    mapping(address node => Past) private _pasts;
    /// @notice What the registry owes for stakes.
    uint256 public stakes = NODES * MIN_STAKE;

    function enrol(uint256 index, uint96 stake, uint256 actor, bool isLikely) public {
        index %= NODES;
        address by = isLikely ? _ownerOf(index) : _actors[actor % ACTORS];
        bool free = _nodeOf(index).status == INodeRegistry.Status.NONE;
        stake = uint96(_bound(stake, MIN_STAKE - 1, MIN_STAKE + 10));
        uint256 before = _token.balanceOf(address(_core));
        (bool done,) = _enrol(index, by, stake);
        if (done) _note(_registry.register.selector);
        if (done) _look(by, NO_JOB, before);
        if (done && (!free || by != _ownerOf(index) || stake < MIN_STAKE)) _accuse("3: a node was registered against the rules");
        _compareStakes();
    }

    /// @dev Nodes that left come back, where their owners can bring them.
    function _mendNodes() internal {
        for (uint256 i = 0; i < NODES; ++i) {
            INodeRegistry.Node memory node = _nodeOf(i);
            if (node.status == INodeRegistry.Status.UNBONDING) _act(node.operator, _simple(4, node.node, 0));
            else if (node.status == INodeRegistry.Status.NONE) enrol(i, 1, 0, true);
        }
    }

    /// @dev Everything else that is done with a node. Some wait until they may.
    function tend(uint256 index, uint256 kind, uint256 actor, bool isLikely, bool isPatient) external {
        index %= NODES;
        INodeRegistry.Node memory before = _nodeOf(index);
        if (isLikely && isPatient) before = _prepare(before, kind % 7, actor);
        uint256 opensAt = kind % 7 == 1 ? before.unbondsAt : kind % 7 == 2 ? before.payoutOpensAt : 0;
        if (isPatient && opensAt > _now()) vm.warp(opensAt);
        address by = isLikely ? before.operator : _actors[actor % ACTORS];
        kind %= 7;
        if (kind == 0) _deactivate(before, by);
        else if (kind == 1) _withdrawStake(before, by);
        else if (kind == 2) _confirmPayout(before, isLikely ? _somebody(before.nextPayout) : by);
        else if (kind == 3) _proposePayout(before, by, _actors[actor % ACTORS]);
        else _act(by, _simple(kind, before.node, actor));
        _compareStakes();
    }

    /// @dev What has to come before, sometimes.
    function _prepare(INodeRegistry.Node memory node, uint256 kind, uint256 actor) private returns (INodeRegistry.Node memory) {
        if (kind == 1 && node.status == INodeRegistry.Status.ACTIVE) _deactivate(node, node.operator);
        if (kind == 2 && node.status != INodeRegistry.Status.NONE) _proposePayout(node, node.operator, _actors[actor % ACTORS]);
        return _registry.nodeOf(node.node);
    }

    /// @dev The organisation goes to another actor, with its nodes and their stakes.
    function handOver(uint256 index, uint256 actor) external {
        bytes32 organisation = _organisation(index % NODES);
        address next = _actors[actor % ACTORS];
        _act(_ownerOf(index % NODES), abi.encodeCall(_registry.offerOrganisation, (organisation, next)));
        _act(next, abi.encodeCall(_registry.takeOrganisation, (organisation)));
        if (_registry.organisationOf(organisation).owner != next) _accuse("4: an organisation could not be handed over");
    }

    /// @notice Every stake can be taken out, whatever happened before.
    function _takeStakesOut() internal {
        for (uint256 i = 0; i < NODES; ++i) {
            INodeRegistry.Node memory node = _nodeOf(i);
            if (node.status != INodeRegistry.Status.ACTIVE) continue;
            vm.prank(node.operator);
            _registry.deactivate(node.node);
        }
        vm.warp(_now() + 7 days);
        for (uint256 i = 0; i < NODES; ++i) {
            INodeRegistry.Node memory node = _nodeOf(i);
            if (node.status == INodeRegistry.Status.NONE) continue;
            vm.prank(node.operator);
            _registry.withdrawStake(node.node);
        }
        if (_token.balanceOf(address(_registry)) != 0) _accuse("4: a stake stays behind");
    }

    function _simple(uint256 kind, address node, uint256 seed) private view returns (bytes memory) {
        if (kind == 4) return abi.encodeCall(_registry.reactivate, (node));
        if (kind == 5) return abi.encodeCall(_registry.cancelPayoutChange, (node));
        return abi.encodeCall(_registry.addStake, (node, uint96(seed % 1e18)));
    }

    function _deactivate(INodeRegistry.Node memory node, address by) private {
        bool open = node.status == INodeRegistry.Status.ACTIVE && (by == node.operator || by == node.node);
        bool done = _act(by, abi.encodeCall(_registry.deactivate, (node.node)));
        if (done != open) _accuse("7: a node could not leave, or was made to");
        if (done) _pasts[node.node].deactivatedAt = _now();
    }

    function _withdrawStake(INodeRegistry.Node memory node, address by) private {
        bool open = node.status == INodeRegistry.Status.UNBONDING && by == node.operator
            && _now() >= _pasts[node.node].deactivatedAt + 7 days;
        _receives(by, node.stake);
        bool done = _act(by, abi.encodeCall(_registry.withdrawStake, (node.node)));
        if (done && !open) _accuse("3: a stake was taken out against the rules");
        if (!done && open && _wordOfTransfers() == Word.MUST_WORK) _accuse("7: a stake could not be taken out");
    }

    function _proposePayout(INodeRegistry.Node memory node, address by, address payout) private {
        bool done = _act(by, abi.encodeCall(_registry.proposePayout, (node.node, payout)));
        if (done && by != node.operator) _accuse("3: a stranger proposed a payout wallet");
        if (done) _pasts[node.node].proposedAt = _now();
    }

    function _confirmPayout(INodeRegistry.Node memory node, address by) private {
        bool open = by == node.nextPayout && _now() >= _pasts[node.node].proposedAt + 2 days;
        bool done = _act(by, abi.encodeCall(_registry.confirmPayout, (node.node)));
        if (done != open) _accuse("3: a payout wallet was changed against the rules, or could not be");
    }

    function _act(address by, bytes memory data) private returns (bool done) {
        uint256 before = _token.balanceOf(address(_core));
        vm.prank(by);
        (done,) = address(_registry).call(data);
        if (!done) return _failed();
        _note(bytes4(data));
        _look(by, NO_JOB, before);
    }

    /// @dev A stake falls only to nothing, and a node that the escrow has as active is so here.
    function _compareStakes() internal {
        uint256 sum = 0;
        bool isAsked = _core.registry() == address(_registry);
        for (uint256 i = 0; i < NODES; ++i) {
            INodeRegistry.Node memory node = _nodeOf(i);
            sum += node.stake;
            if (node.stake < _pasts[node.node].stake && node.stake != 0) _accuse("6: a stake fell");
            _pasts[node.node].stake = node.stake;
            bool isOut = node.status != INodeRegistry.Status.ACTIVE;
            if (isAsked && isOut && _core.isActive(node.node)) _accuse("3: a node that left may take jobs");
        }
        stakes = sum;
        if (_token.balanceOf(address(_registry)) != sum) _accuse("1: the registry's balance is not the stakes");
    }

    function _nodeOf(uint256 index) internal view returns (INodeRegistry.Node memory) {
        return _registry.nodeOf(_node(index));
    }
}
