// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {INodeRegistry} from "../../../../src/contracts/interfaces/INodeRegistry.sol";
import {vm} from "../Vm.sol";
import {Fixture} from "./Fixture.sol";
import {World} from "./World.sol";

/// @notice Shared by the tests of the registry: an organisation whose owner is no node, and a node that may
/// join it.
abstract contract RegistryFixture is Fixture {
    bytes32 private constant ENROLMENT = keccak256(
        "Enrolment(address node,address operator,bytes32 organisation,address payout,bytes32 capabilityHash,string capabilityUri,uint32 computeUnits,uint256 nonce,uint256 deadline)"
    );
    bytes32 private constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    uint256 internal constant MEMBER_KEY = 0xAB1;
    uint256 internal constant OTHER_KEY = 0xAB2;
    uint96 internal constant STAKE = 12e18;
    bytes32 internal constant CAPABILITY = keccak256("sixteen cards");
    string internal constant URI = "https://member.example/capability.json";

    address internal owner = address(0xAA1);
    address internal member = vm.addr(MEMBER_KEY);
    address internal memberPayout = address(0xAB3);
    bytes32 internal second;
    /// @dev Nodes in the tests of pages.
    uint256 internal constant COUNT = 5;

    function setUp() public virtual {
        World world = new World(_firstVerifiers(), _firstTerms());
        (token, core, registry, pool) = world.contracts();
        _fund(owner);
        second = _createOrganisation(owner, "second");
    }

    // ------------------------------------------------------------------------------------------------------- acts

    /// @dev The owner registers the member, with its signature.
    function _join() internal {
        (bool done,) = _send(owner, _joining());
        require(done, "the member was not registered");
    }

    function _joining() internal view returns (bytes memory) {
        INodeRegistry.Enrolment memory enrolment = _enrolment();
        return _joining(enrolment, STAKE, _sign(MEMBER_KEY, enrolment, registry.nonces(member)));
    }

    function _joining(INodeRegistry.Enrolment memory enrolment, uint96 stake, bytes memory signature)
        internal
        view
        returns (bytes memory)
    {
        return abi.encodeCall(registry.register, (enrolment, stake, signature));
    }

    function _leave() internal {
        vm.prank(owner);
        registry.deactivate(member);
    }

    /// @dev The member leaves and withdraws its stake.
    function _part() internal {
        _leave();
        _wait(7 days);
        vm.prank(owner);
        registry.withdrawStake(member);
    }

    function _propose(address payout) internal {
        vm.prank(owner);
        registry.proposePayout(member, payout);
    }

    function _send(address by, bytes memory data) internal returns (bool, bytes memory) {
        vm.prank(by);
        return address(registry).call(data);
    }

    function _rejects(address caller, bytes memory data, bytes memory refusal) internal {
        _refuses(address(registry), caller, data, refusal);
    }

    /// @dev Registers nodes until there are `COUNT`.
    function _registerAll() internal {
        for (uint256 i = 1; i < COUNT; ++i) {
            address account = address(uint160(0x5000 + i));
            token.transfer(account, MIN_STAKE);
            vm.prank(account);
            token.approve(address(registry), MIN_STAKE);
            _registerNode(account, _createOrganisation(account, string(abi.encode(i))), account);
        }
    }

    // -------------------------------------------------------------------------------------------------- what is meant

    function _enrolment() internal view returns (INodeRegistry.Enrolment memory) {
        return INodeRegistry.Enrolment({
            node: member,
            organisation: second,
            payout: memberPayout,
            capabilityHash: CAPABILITY,
            capabilityUri: URI,
            computeUnits: 16,
            deadline: _now()
        });
    }

    /// @dev The member as shown right after it joined.
    function _fresh() internal view returns (INodeRegistry.Node memory) {
        return INodeRegistry.Node({
            node: member,
            status: INodeRegistry.Status.ACTIVE,
            operator: owner,
            organisation: second,
            payout: memberPayout,
            nextPayout: address(0),
            payoutOpensAt: 0,
            capabilityHash: CAPABILITY,
            capabilityUri: URI,
            computeUnits: 16,
            stake: STAKE,
            unbondsAt: 0
        });
    }

    function _isShown(INodeRegistry.Node memory expected) internal view {
        _equal(keccak256(abi.encode(registry.nodeOf(expected.node))), keccak256(abi.encode(expected)), "node");
    }

    function _proposed(address payout, uint256 opensAt) internal view {
        INodeRegistry.Node memory expected = _fresh();
        (expected.nextPayout, expected.payoutOpensAt) = (payout, uint40(opensAt));
        _isShown(expected);
    }

    function _pages(uint256 index, uint256 count, uint256 expected) internal view {
        INodeRegistry.Node[] memory nodes = registry.nodesFrom(index, count);
        _equal(nodes.length, expected, "length of the page");
        for (uint256 i = 0; i < nodes.length; ++i) {
            address account = index + i == 0 ? node : address(uint160(0x5000 + index + i));
            _equal(keccak256(abi.encode(nodes[i])), keccak256(abi.encode(registry.nodeOf(account))), "a node of the page");
        }
    }

    function _digest(INodeRegistry.Enrolment memory it, uint256 nonce) internal view returns (bytes32) {
        bytes32 uri = keccak256(bytes(it.capabilityUri));
        bytes32 content = keccak256(
            abi.encode(
                ENROLMENT, it.node, owner, it.organisation, it.payout, it.capabilityHash, uri, it.computeUnits, nonce, it.deadline
            )
        );
        bytes32 domain = keccak256(
            abi.encode(DOMAIN, keccak256("NodeRegistry"), keccak256("1"), block.chainid, address(registry))
        );
        return keccak256(abi.encodePacked(hex"1901", domain, content));
    }

    function _sign(uint256 key, INodeRegistry.Enrolment memory enrolment, uint256 nonce) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, _digest(enrolment, nonce));
        return abi.encodePacked(r, s, v);
    }

    // -------------------------------------------------------------------------------------------------------- errors

    function _wrongStatus(address account, INodeRegistry.Status status, INodeRegistry.Status needed)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(INodeRegistry.NodeRegistry_WrongStatus.selector, account, status, needed);
    }

    function _notRegistered(address account) internal pure returns (bytes memory) {
        return _wrongStatus(account, INodeRegistry.Status.NONE, INodeRegistry.Status.ACTIVE);
    }

    function _notOperator(address account, address caller) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(INodeRegistry.NodeRegistry_NotOperator.selector, account, caller);
    }

    function _notOwner(bytes32 organisation_, address caller) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(INodeRegistry.NodeRegistry_NotOwner.selector, organisation_, caller);
    }

    function _tooEarly(uint256 opensAt) internal view returns (bytes memory) {
        return abi.encodeWithSelector(INodeRegistry.NodeRegistry_TooEarly.selector, member, uint40(opensAt));
    }

    function _notNext(address caller) internal view returns (bytes memory) {
        return abi.encodeWithSelector(INodeRegistry.NodeRegistry_NotNextPayout.selector, member, caller);
    }

    // -------------------------------------------------------------------------------------------------------- events

    /// @dev The next event must be the registry's, exactly as the test emits it now.
    function _tells() internal {
        vm.expectEmit(address(registry));
    }

    /// @dev After it, the escrow logs whether the member may take jobs.
    function _andTheEscrowHears(bool active) internal {
        _emits();
        emit IEmethCore.NodeActivityChanged(member, active);
    }

    /// @dev After it, tokens move.
    function _andTokensMove(address from, address to, uint256 amount) internal {
        vm.expectEmit(address(token));
        emit IERC20.Transfer(from, to, amount);
    }
}
