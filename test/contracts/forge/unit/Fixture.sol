// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EmethToken} from "../../../../src/contracts/EmethToken.sol";
import {NodeRegistry} from "../../../../src/contracts/NodeRegistry.sol";
import {RewardPool} from "../../../../src/contracts/RewardPool.sol";
import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {INodeRegistry} from "../../../../src/contracts/interfaces/INodeRegistry.sol";
import {vm} from "../Vm.sol";
import {Core} from "../Deployed.sol";

/// @notice Shared by all unit tests: the accounts, the amounts at stake, the steps of a job, and the
/// expectations.
/// @dev All amounts are literals; none is computed as the contracts compute it. The keys of accounts that
/// sign are known.
abstract contract Fixture {
    uint256 internal constant START = 1_800_000_000;
    uint256 internal constant SUPPLY = 100_000_000e18;
    uint256 internal constant CAP = 1_000_000_000e18;
    uint96 internal constant MIN_STAKE = 10e18;
    uint256 internal constant FUNDS = 1_000_000e18;

    // A job, and its amounts by the default terms (5 %, 20 %, 2 %, 5 % of the penalty, 5 %).
    uint96 internal constant FEE = 1000e18;
    uint40 internal constant FUEL = 1_000_000;
    uint40 internal constant FUEL_USED = 600_000;
    uint40 internal constant WORK = 1 hours;
    uint256 internal constant VERIFIER_FEE = 50e18;
    uint256 internal constant BURN_FEE = 50e18;
    uint256 internal constant LOCKED = 1100e18;
    uint256 internal constant PENALTY = 200e18;
    uint256 internal constant DECLINE_PENALTY = 20e18;
    uint256 internal constant TIP = 10e18;
    uint96 internal constant PAYOUT = 600e18;
    uint256 internal constant BURNT = 30e18;
    uint96 internal constant FIRST_PAY = 350e18;
    uint96 internal constant SECOND_PAY = 250e18;
    uint24 internal constant VERDICT_WINDOW = 1 hours;
    uint24 internal constant CLAIM_WINDOW = 90 days;

    string internal constant DATASET = "sha256:0123";
    string internal constant PARAMS = '{"epochs":1}';
    bytes32 internal constant RESULT = keccak256("manifest");
    bytes16 internal constant REASON = bytes16(keccak256("reason"));

    uint256 internal constant REQUESTER_KEY = 0xA1;
    uint256 internal constant NODE_KEY = 0xB1;
    uint256 internal constant VERIFIER_KEY = 0xC1;

    /// @dev The test contract itself: it holds the first supply and is party to no job.
    address internal admin = address(this);
    address internal requester = vm.addr(REQUESTER_KEY);
    /// @dev Owns the organisation that it is registered under.
    address internal node = vm.addr(NODE_KEY);
    address internal nodePayout = address(0xB2);
    address internal verifier = vm.addr(VERIFIER_KEY);
    address internal challenger = address(0xD1);
    address internal worker1 = address(0xE1);
    address internal worker2 = address(0xE2);
    /// @dev Has tokens and no role anywhere.
    address internal stranger = address(0xF1);

    EmethToken internal token;
    Core internal core;
    NodeRegistry internal registry;
    RewardPool internal pool;
    bytes32 internal organisation = keccak256("first");

    // ---------------------------------------------------------------------------------------------------------- time

    function _now() internal view returns (uint256) {
        return vm.getBlockTimestamp();
    }

    function _wait(uint256 time) internal {
        vm.warp(_now() + time);
    }

    // ---------------------------------------------------------------------------------------------------------- jobs

    function _request(uint256 salt) internal returns (bytes16) {
        uint40 deadline = uint40(_now()) + WORK;
        vm.prank(requester);
        return core.request(DATASET, PARAMS, FEE, FUEL, deadline, bytes32(salt));
    }

    function _process(bytes16 job) internal {
        vm.prank(node);
        core.process(job);
    }

    function _submit(bytes16 job) internal {
        vm.prank(node);
        core.submit(job, RESULT, FUEL_USED, _root(), "https://node.example/result");
    }

    function _challenge(bytes16 job) internal {
        vm.prank(challenger);
        core.challenge(job);
    }

    function _verify(bytes16 job) internal {
        vm.prank(verifier);
        core.verify(job, _commitment(), "");
    }

    function _reject(bytes16 job) internal {
        vm.prank(verifier);
        core.rejectResult(job, _commitment(), REASON, "");
    }

    function _requested() internal returns (bytes16 job) {
        job = _request(0);
    }

    function _processing() internal returns (bytes16 job) {
        job = _request(0);
        _process(job);
    }

    function _submitted() internal returns (bytes16 job) {
        job = _processing();
        _submit(job);
    }

    function _disputed() internal returns (bytes16 job) {
        job = _submitted();
        _challenge(job);
    }

    function _verified() internal returns (bytes16 job) {
        job = _submitted();
        _verify(job);
    }

    // ---------------------------------------------------------------------------------------------------------- pay

    /// @dev The list that every result here commits to: 350 to the first worker, 250 to the second.
    function _payees() internal view returns (IEmethCore.Payee[] memory payees) {
        payees = new IEmethCore.Payee[](2);
        payees[0] = IEmethCore.Payee(worker1, FIRST_PAY);
        payees[1] = IEmethCore.Payee(worker2, SECOND_PAY);
    }

    function _leaf(uint256 index, address worker, uint256 amount) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(index, worker, amount))));
    }

    function _root() internal view returns (bytes32) {
        (bytes32 a, bytes32 b) = (_leaf(0, worker1, FIRST_PAY), _leaf(1, worker2, SECOND_PAY));
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }

    function _commitment() internal view returns (bytes20) {
        return bytes20(keccak256(abi.encode(RESULT, _root())));
    }

    // --------------------------------------------------------------------------------------------------------- terms

    function _firstVerifiers() internal virtual returns (address[] memory verifiers) {
        verifiers = new address[](1);
        verifiers[0] = verifier;
    }

    function _firstTerms() internal virtual returns (IEmethCore.Terms memory) {
        return _defaultTerms();
    }

    function _defaultTerms() internal pure returns (IEmethCore.Terms memory) {
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

    /// @dev The credit and the forfeited amount of an account.
    function _booked(address account, uint256 credit, uint256 forfeited) internal view {
        _equal(core.credit(account), credit, "credit");
        _equal(core.forfeited(account), forfeited, "forfeited");
    }

    /// @dev The tokens of an account.
    function _has(address account, uint256 amount) internal view {
        _equal(token.balanceOf(account), amount, "token balance");
    }

    function _inState(bytes16 job, IEmethCore.State state) internal view {
        _equal(uint8(core.jobs(job).state), uint8(state), "state");
    }

    /// @dev A job exactly as the contract must show it.
    function _isJob(bytes16 job, IEmethCore.Job memory expected) internal view {
        _equal(keccak256(abi.encode(core.jobs(job))), keccak256(abi.encode(expected)), "the job as it is shown");
    }
}
