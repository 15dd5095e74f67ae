// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {EmethToken} from "../../../../src/contracts/EmethToken.sol";
import {IEmethToken} from "../../../../src/contracts/interfaces/IEmethToken.sol";
import {vm} from "../Vm.sol";
import {Deploy} from "../Deployed.sol";
import {Fixture} from "./Fixture.sol";
import {World} from "./World.sol";

/// @dev A token whose deployer is the test, with room for 400 more.
abstract contract TokenFixture is Fixture {
    EmethToken internal emt;
    address internal minter = address(0x3001);

    function setUp() public virtual {
        World world = new World(_firstVerifiers(), _firstTerms());
        (token, core, registry, pool) = world.contracts();
        emt = Deploy.token(stranger, 600e18, 1000e18);
    }

    function _name() internal {
        emt.nameRewardPool(minter);
    }

    function _denies(address caller, bytes memory data, bytes memory refusal) internal {
        _refuses(address(emt), caller, data, refusal);
    }
}

contract EmethToken_constructor_Tree is TokenFixture {
    function test_WhenTheSupplyIsAboveTheCap_ItRevertsWithCapExceeded() external {
        bytes memory refusal = abi.encodeWithSelector(IEmethToken.EmethToken_CapExceeded.selector, 0, 1001, 1000);
        try new EmethToken(stranger, 1001, 1000) {
            revert("it was deployed");
        } catch (bytes memory answer) {
            _equal(keccak256(answer), keccak256(refusal), "error");
        }
    }

    function test_WhenTheCapIsMoreThanTheEscrowCanBook_ItRevertsWithCapExceeded() external {
        uint256 cap = uint256(type(uint120).max) + 1;
        bytes memory refusal = abi.encodeWithSelector(IEmethToken.EmethToken_CapExceeded.selector, 0, 1000, cap);
        try new EmethToken(stranger, 1000, cap) {
            revert("it was deployed");
        } catch (bytes memory answer) {
            _equal(keccak256(answer), keccak256(refusal), "error");
        }
        require(new EmethToken(stranger, 1000, cap - 1).cap() == cap - 1, "the largest cap was refused");
    }

    function test_WhenTheSupplyIsTheCap_ItLeavesNothingToMint() external {
        EmethToken full = Deploy.token(stranger, 1000, 1000);
        full.nameRewardPool(minter);
        bytes memory refusal = abi.encodeWithSelector(IEmethToken.EmethToken_CapExceeded.selector, 1000, 1, 1000);
        _refuses(address(full), minter, abi.encodeCall(full.mint, (minter, 1)), refusal);
    }

    function test_WhenTheSupplyIsBelowTheCap_ItGivesTheSupplyToTheHolderAndTheRightToNameToTheDeployer() external view {
        _equal(emt.balanceOf(stranger), 600e18, "balance");
        _equal(emt.totalSupply(), 600e18, "supply");
        _equal(emt.cap(), 1000e18, "cap");
        _equal(emt.deployer(), address(this), "deployer");
        _equal(emt.rewardPool(), address(0), "reward pool");
        _equal(keccak256(bytes(emt.name())), keccak256("Emeth"), "name");
        _equal(keccak256(bytes(emt.symbol())), keccak256("EMT"), "symbol");
        _equal(emt.decimals(), 18, "decimals");
    }
}

contract EmethToken_nameRewardPool_Tree is TokenFixture {
    function test_WhenTheCallerIsNotTheDeployer_ItRevertsWithNotDeployer() external {
        bytes memory refusal = abi.encodeWithSelector(IEmethToken.EmethToken_NotDeployer.selector, stranger);
        _denies(stranger, abi.encodeCall(emt.nameRewardPool, (stranger)), refusal);
    }

    function test_WhenTheDeployerCalls_ItNamesThePoolAndGivesTheRightUp() external {
        vm.expectEmit(address(emt));
        emit IEmethToken.RewardPoolNamed(minter);
        _name();
        _equal(emt.rewardPool(), minter, "reward pool");
        _equal(emt.deployer(), address(0), "deployer");
    }

    function test_WhenThePoolWasNamed_ItRevertsWithNotDeployer() external {
        _name();
        bytes memory refusal = abi.encodeWithSelector(IEmethToken.EmethToken_NotDeployer.selector, address(this));
        _denies(address(this), abi.encodeCall(emt.nameRewardPool, (stranger)), refusal);
        _equal(emt.rewardPool(), minter, "reward pool");
    }
}

contract EmethToken_mint_Tree is TokenFixture {
    function test_WhenNoPoolWasNamed_ItRevertsWithNotRewardPool() external {
        _refusesMinter(address(this));
    }

    function test_WhenTheCallerIsNotThePool_ItRevertsWithNotRewardPool() external {
        _name();
        _refusesMinter(address(this));
        _refusesMinter(stranger);
    }

    function test_WhenItWouldExceedTheCap_ItRevertsWithCapExceeded() external {
        _name();
        bytes memory refusal =
            abi.encodeWithSelector(IEmethToken.EmethToken_CapExceeded.selector, 600e18, 400e18 + 1, 1000e18);
        _denies(minter, abi.encodeCall(emt.mint, (worker1, 400e18 + 1)), refusal);
    }

    function test_WhenItReachesTheCap_ItMints() external {
        _name();
        _mints(400e18, 1000e18);
    }

    function test_WhenSomeWasBurntBefore_ItMintsAsMuchAgain() external {
        _name();
        vm.prank(stranger);
        emt.burn(100e18);
        _mints(500e18, 1000e18);
    }

    function _mints(uint256 amount, uint256 supply) private {
        vm.expectEmit(address(emt));
        emit IERC20.Transfer(address(0), worker1, amount);
        vm.prank(minter);
        emt.mint(worker1, amount);
        _equal(emt.balanceOf(worker1), amount, "balance");
        _equal(emt.totalSupply(), supply, "supply");
    }

    function _refusesMinter(address caller) private {
        bytes memory refusal = abi.encodeWithSelector(IEmethToken.EmethToken_NotRewardPool.selector, caller);
        _denies(caller, abi.encodeCall(emt.mint, (caller, 1)), refusal);
    }
}

contract EmethToken_burn_Tree is TokenFixture {
    function test_WhenTheCallerHasFewer_ItRevertsWithERC20InsufficientBalance() external {
        bytes memory refusal = abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, worker1, 0, 1);
        _denies(worker1, abi.encodeWithSignature("burn(uint256)", 1), refusal);
    }

    function test_WhenTheCallerHasEnough_ItTakesThemOutOfTheSupply() external {
        vm.expectEmit(address(emt));
        emit IERC20.Transfer(stranger, address(0), 100e18);
        vm.prank(stranger);
        emt.burn(100e18);
        _equal(emt.balanceOf(stranger), 500e18, "balance");
        _equal(emt.totalSupply(), 500e18, "supply");
    }
}

contract EmethToken_permit_Tree is TokenFixture {
    bytes32 private constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    function test_WhenTheOwnerSigned_ItAllowsThatMuchOnce() external {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(NODE_KEY, _digest(_now(), 0));
        vm.expectEmit(address(emt));
        emit IERC20.Approval(node, worker1, 7e18);
        emt.permit(node, worker1, 7e18, _now(), v, r, s);
        _equal(emt.allowance(node, worker1), 7e18, "allowance");
        address nobody = ecrecover(_digest(_now(), 1), v, r, s);
        _denies(stranger, _call(_now(), v, r, s), abi.encodeWithSelector(ERC20Permit.ERC2612InvalidSigner.selector, nobody, node));
    }

    function test_WhenSomebodyElseSigned_ItRevertsWithERC2612InvalidSigner() external {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(VERIFIER_KEY, _digest(_now(), 0));
        bytes memory refusal = abi.encodeWithSelector(ERC20Permit.ERC2612InvalidSigner.selector, verifier, node);
        _denies(stranger, _call(_now(), v, r, s), refusal);
    }

    function test_WhenTheSignatureIsTooOld_ItRevertsWithERC2612ExpiredSignature() external {
        uint256 deadline = _now() - 1;
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(NODE_KEY, _digest(deadline, 0));
        bytes memory refusal = abi.encodeWithSelector(ERC20Permit.ERC2612ExpiredSignature.selector, deadline);
        _denies(stranger, _call(deadline, v, r, s), refusal);
    }

    function _call(uint256 deadline, uint8 v, bytes32 r, bytes32 s) private view returns (bytes memory) {
        return abi.encodeCall(emt.permit, (node, worker1, 7e18, deadline, v, r, s));
    }

    function _digest(uint256 deadline, uint256 nonce) private view returns (bytes32) {
        bytes32 content = keccak256(abi.encode(PERMIT, node, worker1, 7e18, nonce, deadline));
        return keccak256(abi.encodePacked(hex"1901", emt.DOMAIN_SEPARATOR(), content));
    }
}
