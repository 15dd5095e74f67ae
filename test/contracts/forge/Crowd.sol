// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {EmethCore} from "../../../src/contracts/EmethCore.sol";
import {NodeRegistry} from "../../../src/contracts/NodeRegistry.sol";
import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {INodeRegistry} from "../../../src/contracts/interfaces/INodeRegistry.sol";
import {vm} from "./Vm.sol";

/// @notice Ten accounts of known keys, and an escrow with its registry whose administrator is this contract.
abstract contract Crowd {
    uint256 internal constant ACTORS = 10;
    // Who is who among the actors.
    uint256 internal constant REQUESTERS = 3;
    uint256 internal constant FIRST_NODE = 3;
    uint256 internal constant NODES = 3;
    uint256 internal constant FIRST_VERIFIER = 6;
    uint256 internal constant SOMEBODY = 8;
    /// @dev Owns the organisation of the first two nodes; the third owns its own.
    uint256 internal constant OPERATOR = 9;

    uint96 internal constant MIN_STAKE = 10e18;
    bytes32 internal constant RESULT = keccak256("result");

    bytes32 private constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant ATTESTATION =
        keccak256("Attestation(bytes16 jobId,bytes20 commitment,bool accepted,bytes16 reasonHash)");
    bytes32 private constant WITHDRAWAL =
        keccak256("Withdrawal(address account,address to,uint256 amount,uint256 tip,uint256 nonce,uint256 deadline)");
    bytes32 private constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    bytes32 private constant ENROLMENT = keccak256(
        "Enrolment(address node,address operator,bytes32 organisation,address payout,bytes32 capabilityHash,string capabilityUri,uint32 computeUnits,uint256 nonce,uint256 deadline)"
    );

    IERC20 internal immutable _token;
    EmethCore internal immutable _core;
    NodeRegistry internal immutable _registry;
    bytes32 private immutable _coreDomain;
    bytes32 private immutable _registryDomain;

    address[] internal _actors;
    /// @dev Everybody the escrow may owe anything.
    address[] internal _accounts;

    constructor(IERC20 token) {
        _token = token;
        for (uint256 i = 0; i < ACTORS; ++i) _actors.push(vm.addr(_key(i)));
        _accounts = _actors;
        address[] memory verifiers = new address[](2);
        (verifiers[0], verifiers[1]) = (_actors[FIRST_VERIFIER], _actors[FIRST_VERIFIER + 1]);
        IEmethCore.Terms memory terms = IEmethCore.Terms(1e18, 500, 2000, 200, 500, 500, 1, 60, 1 hours, 90 days);
        _core = new EmethCore(token, address(this), terms, verifiers, address(0));
        _registry = new NodeRegistry(_core, token, MIN_STAKE);
        _core.setRegistry(address(_registry));
        _core.grantRole(_core.PAUSER_ROLE(), address(this));
        _coreDomain = _domain("EmethCore", address(_core));
        _registryDomain = _domain("NodeRegistry", address(_registry));
    }

    /// @dev To be called once the actors have tokens.
    function _settleIn() internal {
        for (uint256 i = 0; i < ACTORS; ++i) {
            vm.prank(_actors[i]);
            _token.approve(address(_core), type(uint256).max);
            vm.prank(_actors[i]);
            _token.approve(address(_registry), type(uint256).max);
        }
        vm.prank(_actors[OPERATOR]);
        _registry.createOrganisation("first");
        vm.prank(_node(2));
        _registry.createOrganisation("second");
        for (uint256 i = 0; i < NODES; ++i) {
            (bool done,) = _enrol(i, _ownerOf(i), MIN_STAKE);
            require(done, "a node was not registered");
        }
    }

    function _enrol(uint256 index, address by, uint96 stake) internal returns (bool done, bytes memory answer) {
        INodeRegistry.Enrolment memory enrolment = INodeRegistry.Enrolment({
            node: _node(index),
            organisation: _organisation(index),
            payout: _payoutOf(index),
            capabilityHash: RESULT,
            capabilityUri: "uri",
            computeUnits: 1,
            deadline: _now()
        });
        bytes memory signature = by == enrolment.node ? bytes("") : _signEnrolment(index, by, enrolment);
        vm.prank(by);
        return address(_registry).call(abi.encodeCall(_registry.register, (enrolment, stake, signature)));
    }

    function _signEnrolment(uint256 index, address by, INodeRegistry.Enrolment memory it) private view returns (bytes memory) {
        bytes32 uri = keccak256(bytes(it.capabilityUri));
        uint256 nonce = _registry.nonces(it.node);
        bytes memory content = abi.encode(
            ENROLMENT, it.node, by, it.organisation, it.payout, it.capabilityHash, uri, it.computeUnits, nonce, it.deadline
        );
        return _sign(FIRST_NODE + index, _registryDomain, content);
    }

    function _signAttestation(uint256 actor, bytes16 job, bytes20 commitment, bool accepted, bytes16 reason)
        internal
        view
        returns (bytes memory)
    {
        return _sign(actor, _coreDomain, abi.encode(ATTESTATION, job, commitment, accepted, reason));
    }

    function _signWithdrawal(uint256 signer, address account, address to, uint256 amount, uint256 tip, uint256 deadline)
        internal
        view
        returns (bytes memory)
    {
        uint256 nonce = _core.nonces(account);
        return _sign(signer, _coreDomain, abi.encode(WITHDRAWAL, account, to, amount, tip, nonce, deadline));
    }

    /// @dev To the escrow, of any amount, for ever.
    function _signPermit(uint256 actor, bytes32 domain, uint256 nonce) internal view returns (uint8 v, bytes32 r, bytes32 s) {
        bytes memory content =
            abi.encode(PERMIT, _actors[actor], address(_core), type(uint256).max, nonce, type(uint256).max);
        return vm.sign(_key(actor), keccak256(abi.encodePacked(hex"1901", domain, keccak256(content))));
    }

    function _sign(uint256 actor, bytes32 domain, bytes memory content) private pure returns (bytes memory) {
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domain, keccak256(content)));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_key(actor), digest);
        return abi.encodePacked(r, s, v);
    }

    function _domain(string memory name, address target) private view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN, keccak256(bytes(name)), keccak256("1"), block.chainid, target));
    }

    function _node(uint256 index) internal view returns (address) {
        return _actors[FIRST_NODE + index];
    }

    /// @dev Nobody calls from address zero, which is what an ended job names.
    function _somebody(address account) internal view returns (address) {
        return account == address(0) ? _actors[SOMEBODY] : account;
    }

    /// @dev Where the rewards of a node go at first.
    function _wallet(uint256 index) private pure returns (address) {
        return address(uint160(0x9000 + index));
    }

    /// @dev A node that comes back keeps its wallet; with another it would be refused.
    function _payoutOf(uint256 index) private view returns (address) {
        address kept = _registry.payoutOf(_node(index));
        return kept == address(0) ? _wallet(index) : kept;
    }

    function _organisation(uint256 index) internal pure returns (bytes32) {
        return index < 2 ? keccak256("first") : keccak256("second");
    }

    function _ownerOf(uint256 index) internal view returns (address) {
        return _registry.organisationOf(_organisation(index)).owner;
    }

    /// @dev The optimizer takes `block.timestamp` to be the same all through a call.
    function _now() internal view returns (uint256) {
        return vm.getBlockTimestamp();
    }

    function _bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + value % (high - low + 1);
    }

    function _key(uint256 actor) private pure returns (uint256) {
        return 0xA0 + actor;
    }
}
