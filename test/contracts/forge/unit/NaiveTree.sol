// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";

/// @notice The standard tree of payouts built straight from its definition, slowly and unlike PayoutTree.
library NaiveTree {
    function rootOf(IEmethCore.Payee[] memory payees) internal pure returns (bytes32) {
        return nodeAt(_sorted(payees), 0);
    }

    /// @notice The sibling of each node on the way from payee `index`'s leaf to the root.
    function proofOf(IEmethCore.Payee[] memory payees, uint256 index) internal pure returns (bytes32[] memory proof) {
        bytes32[] memory leaves = _sorted(payees);
        bytes32 wanted = leafOf(index, payees[index]);
        uint256 rank = 0;
        while (leaves[rank] != wanted) ++rank;
        uint256 depth = 0;
        for (uint256 i = 2 * leaves.length - 2 - rank; i > 0; i = (i - 1) / 2) ++depth;
        proof = new bytes32[](depth);
        uint256 place = 2 * leaves.length - 2 - rank;
        for (uint256 i = 0; i < depth; ++i) {
            proof[i] = nodeAt(leaves, place % 2 == 1 ? place + 1 : place - 1);
            place = (place - 1) / 2;
        }
    }

    function leafOf(uint256 index, IEmethCore.Payee memory payee) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(index, payee.worker, uint256(payee.amount)))));
    }

    /// @dev Node 0 is the root, nodes 2i+1 and 2i+2 hang from node i, and the last node is the smallest leaf.
    function nodeAt(bytes32[] memory leaves, uint256 place) private pure returns (bytes32) {
        uint256 last = 2 * leaves.length - 2;
        if (2 * place + 1 > last) return leaves[last - place];
        (bytes32 a, bytes32 b) = (nodeAt(leaves, 2 * place + 1), nodeAt(leaves, 2 * place + 2));
        return a < b ? keccak256(bytes.concat(a, b)) : keccak256(bytes.concat(b, a));
    }

    function _sorted(IEmethCore.Payee[] memory payees) private pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](payees.length);
        for (uint256 i = 0; i < payees.length; ++i) leaves[i] = leafOf(i, payees[i]);
        for (uint256 i = 0; i < leaves.length; ++i) {
            for (uint256 j = i + 1; j < leaves.length; ++j) {
                if (leaves[j] < leaves[i]) (leaves[i], leaves[j]) = (leaves[j], leaves[i]);
            }
        }
    }
}
