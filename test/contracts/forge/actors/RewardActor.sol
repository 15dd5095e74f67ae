// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EmethToken} from "../../../../src/contracts/EmethToken.sol";
import {RewardPool} from "../../../../src/contracts/RewardPool.sol";
import {NODES} from "../Crowd.sol";
import {Ledger} from "../Ledger.sol";
import {vm} from "../Vm.sol";
import {Actor} from "./Actor.sol";

/// @notice Claims the rewards of past days. Only with the real token, which alone has a reward pool.
contract RewardActor is Actor {
    EmethToken private immutable _emt;
    RewardPool private immutable _pool;
    /// @dev The most that the pool may ever mint.
    uint256 private immutable _most;
    mapping(uint256 slot => uint256) private _claimedIn;
    mapping(uint256 slot => mapping(address node => bool)) private _hasClaimed;

    constructor(Ledger ledger, RewardPool pool, uint256 most) Actor(ledger) {
        (_emt, _pool, _most) = (EmethToken(address(_token)), pool, most);
    }

    /// @param days_ Bit n: the day n days ago, of which day 0 is still open.
    /// @param isTwice Whether every day is named twice. @param isPatient Whether the node waits for the next
    /// day.
    function claim(uint256 index, uint8 days_, bool isTwice, bool isPatient) external {
        if (isPatient) vm.warp((_now() / 1 days + 1) * 1 days);
        address node = _node(index % NODES);
        uint256[] memory slots = _slots(days_, isTwice);
        address wallet = _registry.payoutOf(node);
        (uint256 had, uint256 due) = (_emt.balanceOf(wallet), _due(slots, node));
        vm.prank(node);
        (bool isDone, bytes memory answer) = address(_pool).call(abi.encodeCall(_pool.claimSlots, (slots)));
        if (isDone != (due > 0)) _ledger.report("9: a reward could not be claimed, or a claim of nothing succeeded");
        if (!isDone) return;
        uint256 got = _emt.balanceOf(wallet) - had;
        _ledger.note(_pool.claimSlots.selector);
        if (got != due || abi.decode(answer, (uint256)) != due) _ledger.report("9: another reward was paid than the rules say");
        if (_emt.totalSupply() > _emt.cap()) _ledger.report("9: the supply is above the cap");
        if (_pool.minted() > _most) _ledger.report("9: the pool minted more than it may");
    }

    function _slots(uint8 days_, bool isTwice) private view returns (uint256[] memory slots) {
        uint256 today = _now() / 1 days;
        slots = new uint256[](isTwice ? 16 : 8);
        for (uint256 i = 0; i < slots.length; ++i) slots[i] = days_ >> (i % 8) & 1 == 1 ? today - i % 8 : 0;
    }

    /// @dev What the claim must bring, by the documented rules and the ledger's own books; enters it as
    /// claimed.
    function _due(uint256[] memory slots, address node) private returns (uint256 due) {
        uint256 left = _most - _pool.minted();
        for (uint256 i = 0; i < slots.length; ++i) {
            uint256 slot = slots[i];
            uint256 burnt = _ledger.burntBy(slot, node);
            if (slot >= _now() / 1 days || burnt == 0 || _hasClaimed[slot][node]) continue;
            uint256 part = _min(_emission(slot) * burnt / _ledger.burntIn(slot), burnt * 80 / 100);
            part = _min(part, left);
            if (part == 0) continue;
            _hasClaimed[slot][node] = true;
            left -= part;
            due += part;
            _claimedIn[slot] += part;
            if (_claimedIn[slot] > _emission(slot)) _ledger.report("9: more was claimed than the slot emits");
        }
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
