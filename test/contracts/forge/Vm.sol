// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @dev The cheat codes of forge that are used here.
interface Vm {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    function prank(address sender) external;
    function warp(uint256 timestamp) external;
    function roll(uint256 number) external;
    /// @dev The optimizer takes `block.timestamp` to be the same throughout a test; it asks for this one again.
    function getBlockTimestamp() external view returns (uint256);
    function chainId(uint256 id) external;
    function addr(uint256 privateKey) external pure returns (address);
    function sign(uint256 privateKey, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function assume(bool condition) external pure;
    function label(address account, string calldata name) external;
    function getNonce(address account) external view returns (uint64);
    function computeCreateAddress(address deployer, uint256 nonce) external pure returns (address);
    /// @dev Deploys a contract by its name as it was compiled, with its constructor's arguments encoded.
    function deployCode(string calldata artifact, bytes calldata args) external returns (address deployed);
    function expectRevert(bytes calldata revertData) external;
    /// @dev The next call must emit exactly the event that the test emits first.
    function expectEmit(address emitter) external;
    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory logs);
    function toString(uint256 value) external pure returns (string memory);
    function envOr(string calldata name, string calldata defaultValue) external view returns (string memory);
    function writeLine(string calldata path, string calldata data) external;
    function store(address target, bytes32 slot, bytes32 value) external;
    function load(address target, bytes32 slot) external view returns (bytes32);
}

Vm constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);
