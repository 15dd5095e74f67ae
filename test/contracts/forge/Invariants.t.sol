// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EmethCore} from "../../../src/contracts/EmethCore.sol";
import {EmethToken} from "../../../src/contracts/EmethToken.sol";
import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {Handler} from "./Handler.sol";
import {vm} from "./Vm.sol";

/// @notice What holds after any sequence of calls by anybody.
contract InvariantsTest {
    EmethToken private token;
    EmethCore private core;
    Handler private handler;

    function setUp() external {
        address[6] memory actors;
        for (uint160 i = 0; i < 6; ++i) actors[i] = address(0x1000 + i);
        address[] memory verifiers = new address[](1);
        verifiers[0] = actors[4];
        token = new EmethToken(address(this), 1e27, 1e27);
        IEmethCore.Terms memory terms = IEmethCore.Terms(1e18, 500, 2000, 200, 500, 500, 1, 60, 1 hours, 90 days);
        core = new EmethCore(token, address(this), terms, verifiers, address(0));
        handler = new Handler(core, token, actors);
        core.grantRole(core.PAUSER_ROLE(), address(handler));
        core.beginDefaultAdminTransfer(address(handler));
        vm.warp(block.timestamp + 3 days);
        vm.prank(address(handler));
        core.acceptDefaultAdminTransfer();
        for (uint256 i = 0; i < 6; ++i) {
            token.transfer(actors[i], 1e24);
            vm.prank(actors[i]);
            token.approve(address(core), type(uint256).max);
        }
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_moneyAndStates() external view {
        require(token.balanceOf(address(core)) == handler.liabilities(), "the balance is not what is owed");
        require(bytes(handler.violation()).length == 0, handler.violation());
    }

    function afterInvariant() external {
        handler.drain();
        require(bytes(handler.violation()).length == 0, handler.violation());
    }
}
