// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {Core, Deploy} from "./Deployed.sol";
import {HostileToken} from "./HostileToken.sol";
import {vm} from "./Vm.sol";

/// @notice A token that cheats, blocks or calls back breaks nothing but its own transfers.
contract HostileTest {
    uint96 private constant FEE = 1000e18;
    bytes32 private constant RESULT = keccak256("result");

    HostileToken private token;
    Core private core;
    address private node = address(0x1001);

    function setUp() external {
        token = new HostileToken();
        address[] memory verifiers = new address[](1);
        verifiers[0] = address(this);
        IEmethCore.Terms memory terms = IEmethCore.Terms(1e18, 500, 2000, 200, 500, 500, 1, 60, 1 hours, 90 days);
        core = Deploy.core(address(token), address(this), terms, verifiers, address(0));
        token.mint(address(this), 1e24);
        token.mint(node, 1e24);
        token.approve(address(core), type(uint256).max);
        vm.prank(node);
        token.approve(address(core), type(uint256).max);
    }

    function test_aTokenThatTakesAFeePaysForNothing() external {
        _misbehave(HostileToken.Mode.TAKES_A_FEE, "");
        require(_fails(_request(0)), "request went through");
        require(_fails(abi.encodeCall(core.deposit, (address(this), 1e18))), "deposit went through");
    }

    function test_aTokenThatAnswersFalsePaysForNothing() external {
        core.deposit(address(this), 1e18);
        _misbehave(HostileToken.Mode.ANSWERS_FALSE, "");
        require(_fails(_request(0)), "request went through");
        require(_fails(abi.encodeCall(core.withdraw, (address(this), 1e18))), "withdraw went through");
        require(core.credit(address(this)) == 1e18, "credit lost");
    }

    function test_aTokenThatReturnsNothingWorks() external {
        _misbehave(HostileToken.Mode.RETURNS_NOTHING, "");
        core.deposit(address(this), 5e18);
        bytes16 job = _make(0);
        _process(job);
        uint256 before = token.balanceOf(address(this));
        vm.warp(block.timestamp + 2 hours);
        core.timeout(job);
        core.withdraw(address(this), core.credit(address(this)));
        core.burn(node);
        // The five that were deposited went into the request; what comes back is fee, both parts on top of
        // it, and the tip.
        require(token.balanceOf(address(this)) == before + 1110e18, "the withdrawal came short");
        require(token.balanceOf(address(core)) == 800e18, "the node's deposit is not there");
    }

    function test_aTokenThatBlocksHoldsUpNoJob() external {
        bytes16[4] memory ids;
        for (uint256 i = 0; i < 4; ++i) ids[i] = _make(i);
        for (uint256 i = 1; i < 4; ++i) _process(ids[i]);
        for (uint256 i = 2; i < 4; ++i) _submit(ids[i]);
        core.challenge(ids[3]);
        _misbehave(HostileToken.Mode.BLOCKS, "");
        vm.warp(block.timestamp + 2 days);
        core.expire(ids[0]);
        core.timeout(ids[1]);
        core.finalize(ids[2]);
        core.unwind(ids[3]);
        require(uint8(core.jobs(ids[3]).state) == uint8(IEmethCore.State.UNVERIFIED), "not unwound");
    }

    function test_whileTokensMoveNothingElseThatMovesTokensRuns() external {
        core.deposit(address(this), 10e18);
        bytes16 open = _make(0);
        bytes16 submitted = _make(1);
        _process(submitted);
        _submit(submitted);
        bytes[6] memory inner = [
            _request(7),
            abi.encodeCall(core.process, (open)),
            abi.encodeCall(core.challenge, (submitted)),
            abi.encodeCall(core.deposit, (address(token), 0)),
            abi.encodeCall(core.withdraw, (address(token), 0)),
            abi.encodeCall(core.burn, (address(token)))
        ];
        for (uint256 i = 0; i < inner.length; ++i) {
            _misbehave(HostileToken.Mode.REENTERS, inner[i]);
            core.deposit(address(this), 1e18);
            require(!token.reentered(), "entered again from a deposit");
            core.withdraw(address(this), 1e18);
            require(!token.reentered(), "entered again from a withdrawal");
        }
    }

    function test_anExitFromWithinATransferKeepsTheBooks() external {
        bytes16 job = _make(0);
        _process(job);
        _submit(job);
        // The token itself may end a job from within another's transfer; that is an exit like any other.
        vm.warp(block.timestamp + 2 hours);
        _misbehave(HostileToken.Mode.REENTERS, abi.encodeCall(core.finalize, (job)));
        core.deposit(address(this), 1e18);
        require(token.reentered(), "the exit was blocked");
        uint256 owed = core.credit(address(this)) + core.credit(node) + core.forfeited(node) + core.jobs(job).payout;
        require(token.balanceOf(address(core)) == owed, "the balance is not what is owed");
    }

    function _misbehave(HostileToken.Mode mode, bytes memory data) private {
        token.misbehave(mode, address(core), data);
    }

    function _request(uint256 salt) private view returns (bytes memory) {
        return abi.encodeCall(core.request, ("d", "{}", FEE, 1000, uint40(block.timestamp + 1 hours), bytes32(salt)));
    }

    function _make(uint256 salt) private returns (bytes16) {
        return core.request("d", "{}", FEE, 1000, uint40(block.timestamp + 1 hours), bytes32(salt));
    }

    function _process(bytes16 job) private {
        vm.prank(node);
        core.process(job);
    }

    function _submit(bytes16 job) private {
        vm.prank(node);
        core.submit(job, RESULT, 600, RESULT, "r");
    }

    function _fails(bytes memory data) private returns (bool) {
        (bool done,) = address(core).call(data);
        return !done;
    }
}
