// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {PayoutTree} from "../../../../src/contracts/PayoutTree.sol";
import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {vm} from "../Vm.sol";
import {EscrowFixture} from "./EscrowFixture.sol";
import {NaiveTree} from "./NaiveTree.sol";

/// @notice Passes a list in calldata to the library, as the escrow does.
contract TreeCaller {
    function rootOf(IEmethCore.Payee[] calldata payees) external pure returns (bytes32, uint256) {
        return PayoutTree.rootOf(payees);
    }
}

/// @notice Properties that hold for any numbers.
contract PropertiesTest is EscrowFixture {
    bytes32 private constant WITHDRAWAL =
        keccak256("Withdrawal(address account,address to,uint256 amount,uint256 tip,uint256 nonce,uint256 deadline)");
    bytes32 private constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    struct Order {
        address account;
        address to;
        uint256 amount;
        uint256 tip;
        uint256 deadline;
    }

    TreeCaller private trees;

    function setUp() public override {
        super.setUp();
        trees = new TreeCaller();
    }

    function testFuzz_theRootIsThatOfTheStandardTree(uint256 seed, uint8 count) external view {
        IEmethCore.Payee[] memory payees = new IEmethCore.Payee[](1 + count % 16);
        uint256 expected = 0;
        for (uint256 i = 0; i < payees.length; ++i) {
            uint256 value = uint256(keccak256(abi.encode(seed, i)));
            payees[i] = IEmethCore.Payee(address(uint160(value)), uint96(value >> 160));
            expected += payees[i].amount;
        }
        (bytes32 root, uint256 sum) = trees.rootOf(payees);
        _equal(root, NaiveTree.rootOf(payees), "root");
        _equal(sum, expected, "sum");
        uint256 index = seed % payees.length;
        bytes32[] memory proof = NaiveTree.proofOf(payees, index);
        require(MerkleProof.verify(proof, root, NaiveTree.leafOf(index, payees[index])), "proof");
    }

    function testFuzz_aSignedWithdrawalIsGoodForNothingElse(uint256 amount, uint256 tip, uint8 field, uint256 change) external {
        vm.prank(stranger);
        core.deposit(requester, 100e18);
        Order memory order = Order(requester, worker1, amount % 50e18, tip % 25e18, _now() + 1 hours);
        bytes memory signature = _signed(order);
        Order memory changed = Order(order.account, order.to, order.amount, order.tip, order.deadline);
        // Covered by the credit and in time, so that only the signature can be refused.
        uint256 step = 1 + change % 25e18;
        if (field % 6 == 0) changed.account = _another(change);
        else if (field % 6 == 1) changed.to = address(uint160(uint256(keccak256(abi.encode(change)))));
        else if (field % 6 == 2) changed.amount += step;
        else if (field % 6 == 3) changed.tip += step;
        else if (field % 6 == 4) changed.deadline += step;
        else signature[change % 64] ^= bytes1(uint8(1 + (change >> 8) % 255));
        require(!_sends(changed, signature), "something that was not signed was done");
        _booked(requester, 100e18, 0);
        require(_sends(order, _signed(order)), "what was signed was refused");
        _booked(requester, 100e18 - order.amount - order.tip, 0);
    }

    function testFuzz_equalContentOfTwoRequestersGivesTwoIds(
        address other,
        bytes32 salt,
        string memory dataset,
        string memory params,
        uint96 fee,
        uint40 fuel
    ) external {
        if (other == requester) return;
        fee = 1e18 + fee % 1e23;
        fuel = fuel == 0 ? 1 : fuel;
        uint40 deadline = uint40(_now()) + WORK;
        bytes memory data = abi.encodeCall(core.request, (dataset, params, fee, fuel, deadline, salt));
        bytes32 spec = keccak256(abi.encode(keccak256(bytes(dataset)), keccak256(bytes(params)), fee, fuel, deadline));
        bytes16 theirs = core.computeJobId(other, salt, spec);
        vm.prank(requester);
        (, bytes memory answer) = address(core).call(data);
        require(abi.decode(answer, (bytes16)) != theirs, "two requesters share an id");
        _equal(abi.decode(answer, (bytes16)), core.computeJobId(requester, salt, spec), "id");
        _equal(uint8(core.jobs(theirs).state), 0, "state of the other's id");
    }

    function testFuzz_aCommitmentIsToOneResultAndOneRoot(bytes32 result, bytes32 root, bytes32 other) external view {
        bytes20 commitment = core.commit(result, root);
        _equal(commitment, bytes20(keccak256(bytes.concat(result, root))), "commitment");
        if (other != result) require(core.commit(other, root) != commitment, "another result");
        if (other != root) require(core.commit(result, other) != commitment, "another root");
        if (result != root) require(core.commit(root, result) != commitment, "exchanged");
    }

    function testFuzz_aPermitIsGoodForWhatItSays(uint256 value, uint256 owned, uint8 key) external {
        vm.prank(requester);
        token.approve(address(core), 0);
        owned %= LOCKED - 3;
        vm.prank(stranger);
        core.deposit(requester, owned);
        // Near the missing amount, so that both sides of the limit come up.
        value = LOCKED - owned - 3 + value % 6;
        bool isGood = value >= LOCKED - owned && key % 4 != 0;
        bytes memory data = _withPermit(value, key % 4 == 0 ? NODE_KEY : REQUESTER_KEY);
        vm.prank(requester);
        (bool done,) = address(core).call(data);
        require(done == isGood, isGood ? "a good permit was refused" : "too little was enough");
        _has(requester, isGood ? FUNDS - LOCKED + owned : FUNDS);
    }

    function _withPermit(uint256 value, uint256 key) private view returns (bytes memory) {
        uint256 end = _now();
        bytes32 content = keccak256(abi.encode(PERMIT, requester, address(core), value, 0, end));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), content));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        bytes memory job = abi.encode(DATASET, PARAMS, FEE, FUEL, end + WORK, bytes32(0), value, end, v, r, s);
        return bytes.concat(core.requestWithPermit.selector, job);
    }

    /// @dev An account that has the amount.
    function _another(uint256 change) private returns (address account) {
        account = vm.addr(1 + change % 1e18);
        if (account == requester) account = node;
        vm.prank(stranger);
        core.deposit(account, 100e18);
    }

    function _signed(Order memory order) private view returns (bytes memory) {
        bytes32 content = keccak256(
            abi.encode(
                WITHDRAWAL, order.account, order.to, order.amount, order.tip, core.nonces(order.account), order.deadline
            )
        );
        return _sign(REQUESTER_KEY, _digest(content));
    }

    function _sends(Order memory order, bytes memory signature) private returns (bool done) {
        bytes memory data = abi.encodeCall(
            core.withdrawWithSig, (order.account, order.to, order.amount, order.tip, order.deadline, signature)
        );
        vm.prank(stranger);
        (done,) = address(core).call(data);
    }
}
