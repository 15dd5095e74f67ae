// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EmethToken} from "../../../src/contracts/EmethToken.sol";
import {RewardPool} from "../../../src/contracts/RewardPool.sol";
import {Crowd} from "./Crowd.sol";
import {Reach} from "./Reach.sol";
import {vm} from "./Vm.sol";

/// @notice The crowd with the real token, and what it does at the reward pool.
contract Handler is Reach {
    uint256 private constant SUPPLY = 1e27;
    /// @dev So little is left to mint that many sequences reach the cap.
    uint256 private constant LEFT = 20e18;

    EmethToken private immutable _emt;
    RewardPool private immutable _pool;
    mapping(uint256 slot => uint256) private _claimedIn;
    mapping(uint256 slot => mapping(address node => bool)) private _hasClaimed;

    constructor() Crowd(new EmethToken(address(this), SUPPLY, SUPPLY + LEFT)) {
        _emt = EmethToken(address(_token));
        _pool = new RewardPool(_core, _emt, _registry, LEFT);
        _emt.nameRewardPool(address(_pool));
        for (uint256 i = 0; i < ACTORS; ++i) _emt.transfer(_actors[i], 1e24);
        // In its last days the pool emits less than the crowd burns, so that the emission binds as often as the share of what was burnt.
        vm.warp(_now() + 7297 days);
        _settleIn();
    }

    /// @dev Of the last eight days; one may be named twice. Some wait for the morning.
    function claim(uint256 index, uint8 days_, bool isTwice, bool isPatient) external {
        if (isPatient) vm.warp((_now() / 1 days + 1) * 1 days);
        address node = _node(index % NODES);
        uint256[] memory slots = _slots(days_, isTwice);
        address wallet = _registry.payoutOf(node);
        (uint256 had, uint256 due) = (_emt.balanceOf(wallet), _due(slots, node));
        vm.prank(node);
        (bool done, bytes memory answer) = address(_pool).call(abi.encodeCall(_pool.claimSlots, (slots)));
        if (done != (due > 0)) _accuse("9: a reward could not be claimed, or none was claimed");
        if (!done) return;
        uint256 got = _emt.balanceOf(wallet) - had;
        _note(_pool.claimSlots.selector);
        if (got != due || abi.decode(answer, (uint256)) != due) _accuse("9: another reward was paid than the rules say");
        _noteSupply();
    }

    /// @dev Without any allowance but what the permit gives. Somebody may have used the permit before: that changes nothing.
    function requestWithPermit(uint256 actor, uint96 fee, uint40 fuel, uint32 work, bool isUsed) external {
        if (_ids.length == MAX_JOBS) return;
        actor %= REQUESTERS;
        Spec memory spec = _newSpec(actor, fee, fuel, work);
        vm.prank(spec.requester);
        _emt.approve(address(_core), 0);
        (uint8 v, bytes32 r, bytes32 s) = _signPermit(actor, _emt.DOMAIN_SEPARATOR(), _emt.nonces(spec.requester));
        if (isUsed) _emt.permit(spec.requester, address(_core), type(uint256).max, type(uint256).max, v, r, s);
        bytes memory data = abi.encodeWithSelector(
            _core.requestWithPermit.selector,
            "data", "{}", spec.fee, spec.fuel, spec.deadline, spec.salt, type(uint256).max, type(uint256).max, v, r, s
        );
        _requestBy(spec, data);
        vm.prank(spec.requester);
        _emt.approve(address(_core), type(uint256).max);
    }

    function _reachOfMore() internal view override returns (string memory) {
        return string.concat(
            _countOf("requestWithPermit", _core.requestWithPermit.selector), _countOf("claimSlots", _pool.claimSlots.selector)
        );
    }

    function _slots(uint8 days_, bool isTwice) private view returns (uint256[] memory slots) {
        uint256 today = _now() / 1 days;
        slots = new uint256[](isTwice ? 16 : 8);
        for (uint256 i = 0; i < slots.length; ++i) slots[i] = days_ >> (i % 8) & 1 == 1 ? today - i % 8 : 0;
    }

    /// @dev What the claim must bring, by the rules in plain words and by this contract's own books; enters it as claimed.
    function _due(uint256[] memory slots, address node) private returns (uint256 due) {
        uint256 left = LEFT - _pool.minted();
        for (uint256 i = 0; i < slots.length; ++i) {
            uint256 slot = slots[i];
            uint256 burnt = _burntBy[slot][node];
            if (slot >= _now() / 1 days || burnt == 0 || _hasClaimed[slot][node]) continue;
            uint256 part = _min(_emission(slot) * burnt / _burntIn[slot], burnt * 80 / 100);
            part = _min(part, left);
            if (part == 0) continue;
            _hasClaimed[slot][node] = true;
            left -= part;
            due += part;
            _claimedIn[slot] += part;
            if (_claimedIn[slot] > _emission(slot)) _accuse("9: more was claimed than the slot emits");
        }
    }

    function _noteSupply() private {
        if (_emt.totalSupply() > _emt.cap()) _accuse("9: the supply is above the cap");
        if (_pool.minted() > LEFT) _accuse("9: the pool minted more than it may");
    }

    /// @dev 12,000 an hour in the first slot, 600 an hour less each year.
    function _emission(uint256 slot) private view returns (uint256) {
        uint256 fall = 14_400e18 * (slot - _pool.firstSlot()) / 365;
        return fall > 288_000e18 ? 0 : 288_000e18 - fall;
    }

    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }
}
