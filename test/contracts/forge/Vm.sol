// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @dev The few of forge's cheat codes that are used here.
interface Vm {
    function prank(address sender) external;
    function warp(uint256 timestamp) external;
}

Vm constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);
