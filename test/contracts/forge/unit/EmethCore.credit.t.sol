// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ExactTransfer} from "../../../../src/contracts/ExactTransfer.sol";
import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {HostileToken} from "../HostileToken.sol";
import {vm} from "../Vm.sol";
import {Core, Deploy} from "../Deployed.sol";
import {EscrowFixture} from "./EscrowFixture.sol";

contract EmethCore_deposit_Tree is EscrowFixture {
    function test_WhenTheAmountDoesNotFitAnAccount_ItRevertsWithTooMuchCredit() external {
        uint256 amount = 1 << 120;
        bytes memory refusal = abi.encodeWithSelector(IEmethCore.EmethCore_TooMuchCredit.selector, amount);
        _refuses(stranger, abi.encodeCall(core.deposit, (stranger, amount)), refusal);
    }

    function test_WhenTheAmountWrapsTheAccountAround_ItRevertsWithTooMuchCredit() external {
        vm.prank(stranger);
        core.deposit(stranger, 1);
        bytes memory refusal = abi.encodeWithSelector(IEmethCore.EmethCore_TooMuchCredit.selector, type(uint256).max);
        _refuses(stranger, abi.encodeCall(core.deposit, (stranger, type(uint256).max)), refusal);
    }

    function test_WhenTheCallerHasFewerTokens_ItRevertsWithERC20InsufficientBalance() external {
        bytes memory refusal =
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, stranger, FUNDS, FUNDS + 1);
        _refuses(stranger, abi.encodeCall(core.deposit, (stranger, FUNDS + 1)), refusal);
    }

    function test_WhenTheTokenKeepsAPartForItself_ItRevertsWithTransferFellShort() external {
        HostileToken hostile = new HostileToken();
        Core other = Deploy.core(address(hostile), admin, _firstTerms(), _firstVerifiers(), address(0));
        hostile.mint(stranger, 10e18);
        vm.prank(stranger);
        hostile.approve(address(other), 10e18);
        hostile.misbehave(HostileToken.Mode.TAKES_A_FEE, address(0), "");
        bytes memory refusal = abi.encodeWithSelector(ExactTransfer.TransferFellShort.selector, 10e18 - 1, 10e18);
        _refuses(address(other), stranger, abi.encodeCall(other.deposit, (stranger, 10e18)), refusal);
        _equal(other.credit(stranger), 0, "credit");
    }

    function test_WhenTheTokensAreThere_GivenAnotherAccount_ItCreditsThatAccount() external {
        _deposits();
    }

    function test_WhenTheTokensAreThere_GivenAPause_ItStillCredits() external {
        _pause();
        _deposits();
    }

    function _deposits() private {
        _emits();
        emit IEmethCore.Deposited(worker1, stranger, 7e18);
        vm.prank(stranger);
        core.deposit(worker1, 7e18);
        _booked(worker1, 7e18, 0);
        _booked(stranger, 0, 0);
        _has(stranger, FUNDS - 7e18);
        _has(address(core), 7e18);
    }
}

contract EmethCore_withdraw_Tree is EscrowFixture {
    function setUp() public override {
        super.setUp();
        vm.prank(stranger);
        core.deposit(stranger, 9e18);
    }

    function test_WhenTheCreditIsSmaller_ItRevertsWithNotEnoughCredit() external {
        bytes memory data = abi.encodeCall(core.withdraw, (stranger, 9e18 + 1));
        _refuses(stranger, data, _notEnoughCredit(stranger, 9e18, 9e18 + 1));
        _refuses(worker1, abi.encodeCall(core.withdraw, (worker1, 1)), _notEnoughCredit(worker1, 0, 1));
    }

    function test_WhenTheCreditSuffices_GivenAllOfItAndAPause_ItSendsTheTokensAndLeavesNothing() external {
        _pause();
        _withdraws(stranger, 9e18);
        _has(stranger, FUNDS);
    }

    function test_WhenTheCreditSuffices_GivenAnotherAccountToSendTo_ItSendsAPartThere() external {
        _withdraws(worker1, 4e18);
        _has(worker1, 4e18);
        _has(stranger, FUNDS - 9e18);
        _booked(worker1, 0, 0);
    }

    function _withdraws(address to, uint256 amount) private {
        _emits();
        emit IEmethCore.Withdrawn(stranger, to, amount);
        vm.prank(stranger);
        core.withdraw(to, amount);
        _booked(stranger, 9e18 - amount, 0);
        _has(address(core), 9e18 - amount);
    }
}

contract EmethCore_withdrawWithSig_Tree is EscrowFixture {
    bytes32 private constant WITHDRAWAL =
        keccak256("Withdrawal(address account,address to,uint256 amount,uint256 tip,uint256 nonce,uint256 deadline)");
    address private relayer = address(0x77);

    function setUp() public override {
        super.setUp();
        vm.prank(stranger);
        core.deposit(requester, 100e18);
    }

    function test_WhenTheSignatureIsOlderThanItsDeadline_ItRevertsWithSignatureExpired() external {
        bytes memory data = _call(REQUESTER_KEY, 90e18, 2e18);
        uint256 deadline = _now() + 60;
        _wait(61);
        _refuses(relayer, data, abi.encodeWithSelector(IEmethCore.EmethCore_SignatureExpired.selector, deadline));
    }

    function test_WhenSomebodyElseSigned_ItRevertsWithWrongSignature() external {
        bytes memory refusal = abi.encodeWithSelector(IEmethCore.EmethCore_WrongSignature.selector, node, requester);
        _refuses(relayer, _call(NODE_KEY, 90e18, 2e18), refusal);
        _equal(core.nonces(requester), 0, "nonce");
    }

    function test_WhenItWasUsedAlready_ItRevertsWithWrongSignature() external {
        bytes memory data = _call(REQUESTER_KEY, 40e18, 2e18);
        _relays(relayer, data, 40e18, 2e18);
        vm.prank(relayer);
        (bool done, bytes memory answer) = address(core).call(data);
        // Under the next nonce the signature is over other content, so another account is recovered from it.
        require(!done && bytes4(answer) == IEmethCore.EmethCore_WrongSignature.selector, "it was good twice");
        _booked(requester, 58e18, 0);
    }

    function test_WhenAmountAndTipAreMoreThanTheCredit_ItRevertsWithNotEnoughCredit() external {
        bytes memory refusal = _notEnoughCredit(requester, 100e18, 100e18 + 1);
        _refuses(relayer, _call(REQUESTER_KEY, 99e18, 1e18 + 1), refusal);
    }

    function test_WhenTheAccountSigned_GivenTheLastSecond_ItSendsTheTokensAndCreditsTheTipToTheCaller() external {
        bytes memory data = _call(REQUESTER_KEY, 98e18, 2e18);
        _wait(60);
        _relays(relayer, data, 98e18, 2e18);
        _booked(requester, 0, 0);
        _booked(relayer, 2e18, 0);
        _has(address(core), 2e18);
        _equal(core.nonces(requester), 1, "nonce");
    }

    function test_WhenTheAccountSigned_GivenNoTip_ItCreditsNothingToTheCaller() external {
        _relays(relayer, _call(REQUESTER_KEY, 98e18, 0), 98e18, 0);
        _booked(requester, 2e18, 0);
        _booked(relayer, 0, 0);
    }

    function test_WhenTheAccountSigned_GivenThatTheAccountItselfBringsIt_ItGetsItsOwnTipBack() external {
        _relays(requester, _call(REQUESTER_KEY, 90e18, 10e18), 90e18, 10e18);
        _booked(requester, 10e18, 0);
    }

    function _relays(address by, bytes memory data, uint256 amount, uint256 tip) private {
        _emits();
        emit IEmethCore.WithdrawalRelayed(requester, by, tip);
        _emits();
        emit IEmethCore.Withdrawn(requester, worker1, amount);
        vm.prank(by);
        (bool done,) = address(core).call(data);
        require(done, "the call was refused");
        _has(worker1, amount);
    }

    function _call(uint256 key, uint256 amount, uint256 tip) private view returns (bytes memory) {
        uint256 deadline = _now() + 60;
        bytes32 content = keccak256(
            abi.encode(WITHDRAWAL, requester, worker1, amount, tip, core.nonces(requester), deadline)
        );
        bytes memory signature = _sign(key, _digest(content));
        return abi.encodeCall(core.withdrawWithSig, (requester, worker1, amount, tip, deadline, signature));
    }
}

contract EmethCore_burn_Tree is EscrowFixture {
    function test_WhenNothingWasForfeited_ItBurnsNothing() external {
        _burns(stranger, 0);
    }

    function test_WhenSomethingWasForfeited_ItTakesItOutOfTheSupplyOnce() external {
        _reject(_submitted());
        _burns(node, PENALTY - VERIFIER_FEE);
        _burns(node, 0);
        _booked(node, FEE - PENALTY, 0);
        _has(address(core), LOCKED + FEE - (PENALTY - VERIFIER_FEE));
    }

    function _burns(address account, uint256 amount) private {
        uint256 supply = token.totalSupply();
        _emits();
        emit IEmethCore.Burnt(account, amount);
        vm.prank(stranger);
        core.burn(account);
        _equal(token.totalSupply(), supply - amount, "supply");
    }
}

contract EmethCore_multicall_Tree is EscrowFixture {
    function test_WhenOneOfTheCallsIsRefused_ItRevertsWithThatError() external {
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(core.burn, (stranger));
        calls[1] = abi.encodeCall(core.withdraw, (worker1, 1));
        _refuses(worker1, abi.encodeCall(core.multicall, (calls)), _notEnoughCredit(worker1, 0, 1));
    }

    function test_WhenAllAreGood_ItCollectsPayOfTwoJobsAndWithdrawsIt() external {
        bytes[] memory calls = new bytes[](3);
        for (uint256 i = 0; i < 2; ++i) {
            bytes16 job = _request(i);
            _process(job);
            _submit(job);
            _verify(job);
            calls[i] = abi.encodeCall(core.payWorkers, (job, RESULT, _payees()));
        }
        calls[2] = abi.encodeCall(core.withdraw, (worker1, 2 * uint256(FIRST_PAY)));
        vm.prank(worker1);
        core.multicall(calls);
        _booked(worker1, 0, 0);
        _booked(worker2, 2 * uint256(SECOND_PAY), 0);
        _has(worker1, 2 * uint256(FIRST_PAY));
    }
}
