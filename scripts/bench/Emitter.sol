// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @notice Writes the logs that it is told, so that a bench has thousands of the escrow's events without thousands of jobs.
contract Emitter {
    /// @dev The calldata is a list of logs, each: length of the data, three topics, data.
    fallback() external {
        assembly {
            let at := 0
            for {} lt(at, calldatasize()) {} {
                let size := calldataload(at)
                calldatacopy(0, add(at, 128), size)
                log3(0, size, calldataload(add(at, 32)), calldataload(add(at, 64)), calldataload(add(at, 96)))
                at := add(at, add(128, size))
            }
        }
    }
}
