// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {IEmethCore} from "./interfaces/IEmethCore.sol";

/// @title The Merkle tree of payouts
/// @notice The standard tree of OpenZeppelin's `@openzeppelin/merkle-tree`: leaves hashed twice, sorted,
/// pairs commutative.
library PayoutTree {
    /// @notice A leaf: keccak256 twice over (index, worker, amount).
    function leaf(uint256 index, address worker, uint256 amount) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(index, worker, amount))));
    }

    /// @notice The root over a whole payout list, and its sum.
    function rootOf(IEmethCore.Payee[] calldata payees) internal pure returns (bytes32 root, uint256 sum) {
        uint256 count = payees.length;
        if (count == 0) return (bytes32(0), 0);
        // A complete binary tree in an array: node i has children 2i+1 and 2i+2; the sorted leaves fill it
        // from the end.
        bytes32[] memory tree = new bytes32[](2 * count - 1);
        for (uint256 i = 0; i < count; ++i) {
            sum += payees[i].amount;
            insert(tree, i, leaf(i, payees[i].worker, payees[i].amount));
        }
        for (uint256 i = count - 1; i > 0; --i) {
            tree[i - 1] = Hashes.commutativeKeccak256(tree[2 * i - 1], tree[2 * i]);
        }
        root = tree[0];
    }

    /// @dev Keeps the `used` leaves at the end of the tree sorted, the smallest last.
    function insert(bytes32[] memory tree, uint256 used, bytes32 value) private pure {
        uint256 last = tree.length - 1;
        uint256 place = used;
        while (place > 0 && tree[last - (place - 1)] > value) {
            tree[last - place] = tree[last - (place - 1)];
            --place;
        }
        tree[last - place] = value;
    }
}
