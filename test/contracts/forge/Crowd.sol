// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {NodeRegistry} from "../../../src/contracts/NodeRegistry.sol";
import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {INodeRegistry} from "../../../src/contracts/interfaces/INodeRegistry.sol";
import {Core, Deploy} from "./Deployed.sol";
import {vm} from "./Vm.sol";

uint256 constant ACCOUNTS = 10;
// The part that each of the ten accounts plays.
uint256 constant REQUESTERS = 3;
uint256 constant FIRST_NODE = 3;
uint256 constant NODES = 3;
uint256 constant FIRST_VERIFIER = 6;
/// @dev Plays no part.
uint256 constant SOMEBODY = 8;
/// @dev Owns the organisation of the first two nodes; the third node owns its own.
uint256 constant OPERATOR = 9;
/// @dev The escrow's administrator and pauser.
address constant ADMIN = address(0xAD);

uint96 constant MIN_STAKE = 10e18;
/// @dev The hash of every result that is submitted.
bytes32 constant RESULT = keccak256("result");

/// @notice The escrow and its registry as deployed, and ten accounts whose keys are known, so that they can
/// sign.
contract Crowd {
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

    IERC20 public immutable token;
    Core public immutable core;
    NodeRegistry public immutable registry;
    bytes32 private immutable _coreDomain;
    bytes32 private immutable _registryDomain;
    address[] private _accounts;

    constructor(IERC20 token_) {
        token = token_;
        for (uint256 i = 0; i < ACCOUNTS; ++i) _accounts.push(vm.addr(_key(i)));
        address[] memory verifiers = new address[](2);
        (verifiers[0], verifiers[1]) = (_accounts[FIRST_VERIFIER], _accounts[FIRST_VERIFIER + 1]);
        IEmethCore.Terms memory terms = IEmethCore.Terms(1e18, 500, 2000, 200, 500, 500, 1, 60, 1 hours, 90 days);
        core = Deploy.core(address(token_), ADMIN, terms, verifiers, address(0));
        registry = Deploy.registry(address(core), address(token_), MIN_STAKE);
        bytes32 pauser = core.PAUSER_ROLE();
        vm.prank(ADMIN);
        core.setRegistry(address(registry));
        vm.prank(ADMIN);
        core.grantRole(pauser, ADMIN);
        _coreDomain = _domain("EmethCore", address(core));
        _registryDomain = _domain("NodeRegistry", address(registry));
    }

    /// @notice Approves both contracts for every account and registers the nodes; the accounts must have
    /// tokens by now.
    function settle() external {
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            vm.prank(_accounts[i]);
            token.approve(address(core), type(uint256).max);
            vm.prank(_accounts[i]);
            token.approve(address(registry), type(uint256).max);
        }
        vm.prank(_accounts[OPERATOR]);
        registry.createOrganisation("first");
        vm.prank(_node(2));
        registry.createOrganisation("second");
        for (uint256 i = 0; i < NODES; ++i) {
            address owner = ownerOf(i);
            bytes memory data = registration(i, owner, MIN_STAKE);
            vm.prank(owner);
            (bool isDone,) = address(registry).call(data);
            require(isDone, "a node was not registered");
        }
    }

    /// @notice All ten accounts, in the order of the constants above.
    function accounts() external view returns (address[] memory) {
        return _accounts;
    }

    /// @notice The call that registers a node for `by`, with the node's signature unless the node calls
    /// itself.
    function registration(uint256 index, address by, uint96 stake) public view returns (bytes memory) {
        INodeRegistry.Enrolment memory enrolment = INodeRegistry.Enrolment({
            node: _node(index),
            organisation: organisationOf(index),
            payout: _payoutOf(index),
            capabilityHash: RESULT,
            capabilityUri: "uri",
            computeUnits: 1,
            deadline: vm.getBlockTimestamp()
        });
        bytes memory signature = by == enrolment.node ? bytes("") : _signEnrolment(index, by, enrolment);
        return abi.encodeCall(registry.register, (enrolment, stake, signature));
    }

    function organisationOf(uint256 index) public pure returns (bytes32) {
        return index < 2 ? keccak256("first") : keccak256("second");
    }

    function ownerOf(uint256 index) public view returns (address) {
        return registry.organisationOf(organisationOf(index)).owner;
    }

    // ---------------------------------------------------------------------------------------------------- signatures

    /// @param signer The number of the account that signs.
    function signAttestation(uint256 signer, bytes16 job, bytes20 commitment, bool accepted, bytes16 reason)
        external
        view
        returns (bytes memory)
    {
        return _sign(signer, _coreDomain, abi.encode(ATTESTATION, job, commitment, accepted, reason));
    }

    /// @param signer The number of the account that signs; only `account`'s own signature is valid.
    function signWithdrawal(uint256 signer, address account, address to, uint256 amount, uint256 tip, uint256 deadline)
        external
        view
        returns (bytes memory)
    {
        uint256 nonce = core.nonces(account);
        return _sign(signer, _coreDomain, abi.encode(WITHDRAWAL, account, to, amount, tip, nonce, deadline));
    }

    /// @notice Permits the escrow to take any amount at any time.
    function signPermit(uint256 signer, bytes32 domain, uint256 nonce) external view returns (uint8 v, bytes32 r, bytes32 s) {
        bytes memory content =
            abi.encode(PERMIT, _accounts[signer], address(core), type(uint256).max, nonce, type(uint256).max);
        return vm.sign(_key(signer), keccak256(abi.encodePacked(hex"1901", domain, keccak256(content))));
    }

    function _signEnrolment(uint256 index, address by, INodeRegistry.Enrolment memory it) private view returns (bytes memory) {
        bytes32 uri = keccak256(bytes(it.capabilityUri));
        uint256 nonce = registry.nonces(it.node);
        bytes memory content = abi.encode(
            ENROLMENT, it.node, by, it.organisation, it.payout, it.capabilityHash, uri, it.computeUnits, nonce, it.deadline
        );
        return _sign(FIRST_NODE + index, _registryDomain, content);
    }

    function _sign(uint256 signer, bytes32 domain, bytes memory content) private pure returns (bytes memory) {
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domain, keccak256(content)));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_key(signer), digest);
        return abi.encodePacked(r, s, v);
    }

    function _domain(string memory name, address target) private view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN, keccak256(bytes(name)), keccak256("1"), block.chainid, target));
    }

    function _node(uint256 index) private view returns (address) {
        return _accounts[FIRST_NODE + index];
    }

    /// @dev A wallet of the node's own at first. A node that returns keeps the wallet it had, because another
    /// would be refused.
    function _payoutOf(uint256 index) private view returns (address) {
        address kept = registry.payoutOf(_node(index));
        return kept == address(0) ? address(uint160(0x9000 + index)) : kept;
    }

    function _key(uint256 index) private pure returns (uint256) {
        return 0xA0 + index;
    }
}
