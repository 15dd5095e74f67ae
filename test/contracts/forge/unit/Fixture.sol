// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {INodeRegistry} from "../../../../src/contracts/interfaces/INodeRegistry.sol";
import {vm} from "../Vm.sol";
import {Stage} from "./Stage.sol";
import {World} from "./World.sol";

/// @notice The four contracts as `deployContracts` of src/chain/deploy/deploy.ts leaves them, an active node, and jobs in any state. The
/// test contract itself is the administrator, holds the first supply, and is party to no job.
/// @dev What takes long to compile is in `World`, which is compiled once and not again for each test contract.
abstract contract Fixture is Stage {
    World internal world;
    address internal admin = address(this);
    bytes32 internal organisation;

    function setUp() public virtual {
        vm.warp(START);
        world = new World(_firstVerifiers(), _firstTerms());
        (token, core, registry, pool) = world.contracts();
        organisation = keccak256("first");
    }

    function _firstVerifiers() internal virtual returns (address[] memory verifiers) {
        verifiers = new address[](1);
        verifiers[0] = verifier;
    }

    function _firstTerms() internal virtual returns (IEmethCore.Terms memory) {
        return IEmethCore.Terms({
            minFee: 1e18,
            verifierBps: 500,
            penaltyBps: 2000,
            declineBps: 200,
            tipBps: 500,
            burnBps: 500,
            quorum: 1,
            minWork: 60,
            verdictWindow: VERDICT_WINDOW,
            claimWindow: CLAIM_WINDOW
        });
    }

    // ------------------------------------------------------------------------------------------------------ accounts

    /// @dev Gives an account tokens that both contracts may take.
    function _fund(address account) internal {
        token.transfer(account, FUNDS);
        vm.prank(account);
        token.approve(address(core), type(uint256).max);
        vm.prank(account);
        token.approve(address(registry), type(uint256).max);
    }

    function _createOrganisation(address owner, string memory name) internal returns (bytes32) {
        vm.prank(owner);
        return registry.createOrganisation(name);
    }

    /// @dev The node owns the organisation, so it need not sign.
    function _registerNode(address account, bytes32 organisation_, address payout) internal {
        INodeRegistry.Enrolment memory enrolment = INodeRegistry.Enrolment({
            node: account,
            organisation: organisation_,
            payout: payout,
            capabilityHash: keccak256("capability"),
            capabilityUri: "https://node.example/capability.json",
            computeUnits: 8,
            deadline: _now()
        });
        vm.prank(account);
        registry.register(enrolment, MIN_STAKE, "");
    }

    // --------------------------------------------------------------------------------------------------- expectations

    /// @dev The next call must emit what the test emits now, exactly.
    function _emits() internal {
        vm.expectEmit(address(core));
    }

    /// @dev The call must fail with exactly this error, values included.
    function _refuses(address target, address caller, bytes memory data, bytes memory refusal) internal {
        vm.prank(caller);
        (bool done, bytes memory answer) = target.call(data);
        require(!done, "the call was not refused");
        require(keccak256(answer) == keccak256(refusal), "refused with another error");
    }

    function _refuses(address caller, bytes memory data, bytes memory refusal) internal {
        _refuses(address(core), caller, data, refusal);
    }

    function _equal(uint256 found, uint256 expected, string memory what) internal pure {
        require(found == expected, what);
    }

    function _equal(address found, address expected, string memory what) internal pure {
        require(found == expected, what);
    }

    function _equal(bytes32 found, bytes32 expected, string memory what) internal pure {
        require(found == expected, what);
    }

    /// @dev What the escrow has booked for an account.
    function _booked(address account, uint256 credit, uint256 forfeited) internal view {
        _equal(core.credit(account), credit, "credit");
        _equal(core.forfeited(account), forfeited, "forfeited");
    }

    /// @dev Tokens that an account has.
    function _has(address account, uint256 amount) internal view {
        _equal(token.balanceOf(account), amount, "token balance");
    }

    function _inState(bytes16 job, IEmethCore.State state) internal view {
        _equal(uint8(core.jobs(job).state), uint8(state), "state");
    }
}
