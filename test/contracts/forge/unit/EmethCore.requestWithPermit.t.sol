// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {vm} from "../Vm.sol";
import {EscrowFixture} from "./EscrowFixture.sol";

contract EmethCore_requestWithPermit_Tree is EscrowFixture {
    bytes32 private constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    struct Signature {
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    function setUp() public override {
        super.setUp();
        vm.prank(requester);
        token.approve(address(core), 0);
    }

    function test_WhenThePermitIsGood_ItTakesTheTokensWithoutAnApprovalBefore() external {
        bytes16 job = _idOf(requester, 0, FEE, FUEL, _now() + WORK);
        Signature memory signed = _permit(LOCKED);
        _emits();
        emit IEmethCore.JobRequested(
            job, requester, FEE, uint96(VERIFIER_FEE), uint96(BURN_FEE), FUEL, uint40(_now()) + WORK, 0, DATASET, PARAMS
        );
        (bool done, bytes memory answer) = _send(_call(signed));
        require(done, "the request was refused");
        _equal(abi.decode(answer, (bytes16)), job, "job id");
        _isJob(job, _freshJob(_now() + WORK));
        _has(requester, FUNDS - LOCKED);
        _equal(token.allowance(requester, address(core)), 0, "allowance");
        _equal(token.nonces(requester), 1, "nonce of the permit");
    }

    function test_WhenSomebodyHasUsedThePermitAlready_ItGoesByTheAllowanceThatIsThere() external {
        Signature memory signed = _permit(LOCKED);
        vm.prank(stranger);
        token.permit(requester, address(core), LOCKED, _now(), signed.v, signed.r, signed.s);
        (bool done, bytes memory answer) = _send(_call(signed));
        require(done, "the request was refused");
        _isJob(abi.decode(answer, (bytes16)), _freshJob(_now() + WORK));
        _has(requester, FUNDS - LOCKED);
    }

    function test_WhenThePermitIsBad_GivenAnApprovalThatSuffices_ItRequestsAllTheSame() external {
        vm.prank(requester);
        token.approve(address(core), LOCKED);
        (bool done, bytes memory answer) = _send(_call(Signature(27, 0, 0)));
        require(done, "the request was refused");
        _isJob(abi.decode(answer, (bytes16)), _freshJob(_now() + WORK));
    }

    function test_WhenThePermitIsBad_GivenNoApproval_ItRevertsWithERC20InsufficientAllowance() external {
        Signature memory signed = _permit(LOCKED - 1);
        bytes memory refusal =
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, core, 0, LOCKED);
        _refuses(requester, _call(signed), refusal);
    }

    function test_WhenTheContractIsPaused_ItRevertsWithPaused() external {
        _pause();
        _refuses(requester, _call(_permit(LOCKED)), _paused());
        _equal(token.nonces(requester), 0, "nonce of the permit");
    }

    function _send(bytes memory data) private returns (bool, bytes memory) {
        vm.prank(requester);
        return address(core).call(data);
    }

    function _permit(uint256 value) private view returns (Signature memory signed) {
        bytes32 content =
            keccak256(abi.encode(PERMIT, requester, address(core), value, token.nonces(requester), _now()));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), content));
        (signed.v, signed.r, signed.s) = vm.sign(REQUESTER_KEY, digest);
    }

    function _call(Signature memory signed) private view returns (bytes memory) {
        uint40 deadline = uint40(_now()) + WORK;
        return abi.encodeCall(
            core.requestWithPermit,
            (DATASET, PARAMS, FEE, FUEL, deadline, bytes32(0), LOCKED, _now(), signed.v, signed.r, signed.s)
        );
    }
}
