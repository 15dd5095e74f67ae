// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {Exits} from "./Exits.sol";
import {vm} from "./Vm.sol";

/// @notice Counts how often a sequence made each call work and each state come about. `test/contracts/fuzz.test.ts` adds the counts up
/// over all sequences and asks for a least of each: an invariant says nothing about what never happened.
abstract contract Reach is Exits {
    /// @notice `name count` of each call, state and trick, separated by commas.
    function reach() external view returns (string memory) {
        return string.concat(_reachOfJobs(), _reachOfMoney(), _reachOfNodes(), _reachOfStates(), _reachOfMore());
    }

    /// @dev The counts of what only one of the two handlers does.
    function _reachOfMore() internal view virtual returns (string memory);

    function _reachOfJobs() private view returns (string memory) {
        string memory first = string.concat(
            _countOf("request", _core.request.selector),
            _countOf("process", _core.process.selector),
            _countOf("submit", _core.submit.selector),
            _countOf("verify", _core.verify.selector),
            _countOf("rejectResult", _core.rejectResult.selector),
            _countOf("challenge", _core.challenge.selector)
        );
        string memory ends = string.concat(
            _countOf("cancel", _core.cancel.selector),
            _countOf("expire", _core.expire.selector),
            _countOf("decline", _core.decline.selector),
            _countOf("timeout", _core.timeout.selector),
            _countOf("accept", _core.accept.selector),
            _countOf("finalize", _core.finalize.selector),
            _countOf("unwind", _core.unwind.selector)
        );
        string memory pay = string.concat(
            _countOf("payWorkers", _core.payWorkers.selector),
            _countOf("claimPay", _core.claimPay.selector),
            _countOf("multicall", _core.multicall.selector),
            _countOf("sweepUnclaimed", _core.sweepUnclaimed.selector),
            _countOf("verdicts with a trick", "verdicts with a trick")
        );
        return string.concat(first, ends, pay);
    }

    function _reachOfMoney() private view returns (string memory) {
        return string.concat(
            _countOf("deposit", _core.deposit.selector),
            _countOf("withdraw", _core.withdraw.selector),
            _countOf("withdrawWithSig", _core.withdrawWithSig.selector),
            _countOf("burn", _core.burn.selector),
            _countOf("setTerms", _core.setTerms.selector),
            _countOf("setPaused", _core.setPaused.selector),
            _countOf("setRegistry", _core.setRegistry.selector),
            _countOf("revokeRole", _core.revokeRole.selector)
        );
    }

    function _reachOfNodes() private view returns (string memory) {
        return string.concat(
            _countOf("register", _registry.register.selector),
            _countOf("deactivate", _registry.deactivate.selector),
            _countOf("reactivate", _registry.reactivate.selector),
            _countOf("withdrawStake", _registry.withdrawStake.selector),
            _countOf("addStake", _registry.addStake.selector),
            _countOf("proposePayout", _registry.proposePayout.selector),
            _countOf("confirmPayout", _registry.confirmPayout.selector),
            _countOf("takeOrganisation", _registry.takeOrganisation.selector)
        );
    }

    function _reachOfStates() private view returns (string memory all) {
        string[11] memory names = [
            "NONE", "REQUESTED", "PROCESSING", "SUBMITTED", "VERIFIED", "CANCELED", "TIMEOUT", "FAILED", "DECLINED", "DISPUTED",
            "UNVERIFIED"
        ];
        for (uint256 i = 1; i < names.length; ++i) all = string.concat(all, _countOf(names[i], bytes32(i)));
    }

    function _countOf(string memory name, bytes32 what) internal view returns (string memory) {
        return string.concat(name, " ", vm.toString(_reached[what]), ",");
    }
}
