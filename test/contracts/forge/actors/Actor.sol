// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {NodeRegistry} from "../../../../src/contracts/NodeRegistry.sol";
import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {Behaviour} from "../Behaviour.sol";
import {Crowd, FIRST_NODE, SOMEBODY} from "../Crowd.sol";
import {Core} from "../Deployed.sol";
import {Ledger} from "../Ledger.sol";
import {Expected, Outcome, Outcomes} from "../Outcome.sol";
import {Rules} from "../Rules.sol";
import {vm} from "../Vm.sol";

/// @notice What every actor has: the contracts, the accounts, and the ledger through which it calls. The
/// public functions of an actor are what a campaign calls with arguments at random; numbers of accounts and
/// jobs are taken modulo how many there are.
abstract contract Actor {
    Ledger internal immutable _ledger;
    Crowd internal immutable _crowd;
    Behaviour internal immutable _behaviour;
    IERC20 internal immutable _token;
    Core internal immutable _core;
    NodeRegistry internal immutable _registry;
    address[] internal _accounts;

    constructor(Ledger ledger) {
        Crowd crowd = ledger.crowd();
        (_ledger, _crowd, _behaviour) = (ledger, crowd, ledger.behaviour());
        (_token, _core, _registry) = (crowd.token(), crowd.core(), crowd.registry());
        _accounts = crowd.accounts();
    }

    /// @dev Makes one of the calls that take a job and nothing else.
    function _callPlain(bytes16 jobId, bytes4 act, address by, Expected expected) internal returns (bool) {
        Outcome memory outcome = expected == Expected.FAILURE
            ? Outcomes.none()
            : Rules.plain(act, by, _core.jobs(jobId), _ledger.rulesOf(jobId));
        return _ledger.call(by, jobId, abi.encodeWithSelector(act, jobId), expected, outcome);
    }

    /// @dev What the rules say of a call that they allow or not, and that takes no tokens.
    function _when(bool isOpen) internal pure returns (Expected) {
        return isOpen ? Expected.SUCCESS : Expected.FAILURE;
    }

    function _hasNoJobs() internal view returns (bool) {
        return _ledger.count() == 0;
    }

    function _id(uint256 job) internal view returns (bytes16) {
        return _ledger.idAt(job % _ledger.count());
    }

    function _node(uint256 index) internal view returns (address) {
        return _accounts[FIRST_NODE + index];
    }

    /// @dev Nobody calls from address zero, which is what an ended job names.
    function _somebody(address account) internal view returns (address) {
        return account == address(0) ? _accounts[SOMEBODY] : account;
    }

    /// @dev The optimizer takes `block.timestamp` to be the same throughout a call.
    function _now() internal view returns (uint256) {
        return vm.getBlockTimestamp();
    }

    function _bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + value % (high - low + 1);
    }
}
