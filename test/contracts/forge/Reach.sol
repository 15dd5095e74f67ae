// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethAccounts} from "../../../src/contracts/interfaces/IEmethAccounts.sol";
import {IEmethCore} from "../../../src/contracts/interfaces/IEmethCore.sol";
import {INodeRegistry} from "../../../src/contracts/interfaces/INodeRegistry.sol";
import {IRewardPool} from "../../../src/contracts/interfaces/IRewardPool.sol";
import {Ledger} from "./Ledger.sol";
import {vm} from "./Vm.sol";

/// @notice How often a sequence made each call succeed and each state come about.
/// `test/contracts/fuzz.test.ts` adds the counts up over all sequences and asks for a least of each, because
/// an invariant says nothing about what never happened.
library Reach {
    /// @notice `name count` of each call, state and special case, separated by commas.
    function describe(Ledger ledger) internal view returns (string memory all) {
        string[11] memory states = [
            "NONE", "REQUESTED", "PROCESSING", "SUBMITTED", "VERIFIED", "CANCELED", "TIMEOUT", "FAILED", "DECLINED", "DISPUTED",
            "UNVERIFIED"
        ];
        for (uint256 i = 1; i < states.length; ++i) all = _add(all, ledger, states[i], bytes32(i));
        all = _jobs(all, ledger);
        all = _ends(all, ledger);
        all = _money(all, ledger);
        all = _nodes(all, ledger);
        all = _rest(all, ledger);
    }

    function _jobs(string memory all, Ledger ledger) private view returns (string memory) {
        all = _add(all, ledger, "request", IEmethCore.request.selector);
        all = _add(all, ledger, "requestWithPermit", IEmethCore.requestWithPermit.selector);
        all = _add(all, ledger, "process", IEmethCore.process.selector);
        all = _add(all, ledger, "submit", IEmethCore.submit.selector);
        all = _add(all, ledger, "verify", IEmethCore.verify.selector);
        all = _add(all, ledger, "rejectResult", IEmethCore.rejectResult.selector);
        all = _add(all, ledger, "challenge", IEmethCore.challenge.selector);
        return _add(all, ledger, "forged verdicts", "forged verdicts");
    }

    function _ends(string memory all, Ledger ledger) private view returns (string memory) {
        all = _add(all, ledger, "cancel", IEmethCore.cancel.selector);
        all = _add(all, ledger, "expire", IEmethCore.expire.selector);
        all = _add(all, ledger, "decline", IEmethCore.decline.selector);
        all = _add(all, ledger, "timeout", IEmethCore.timeout.selector);
        all = _add(all, ledger, "accept", IEmethCore.accept.selector);
        all = _add(all, ledger, "finalize", IEmethCore.finalize.selector);
        all = _add(all, ledger, "unwind", IEmethCore.unwind.selector);
        return _add(all, ledger, "sweepUnclaimed", IEmethCore.sweepUnclaimed.selector);
    }

    function _money(string memory all, Ledger ledger) private view returns (string memory) {
        all = _add(all, ledger, "deposit", IEmethAccounts.deposit.selector);
        all = _add(all, ledger, "withdraw", IEmethAccounts.withdraw.selector);
        all = _add(all, ledger, "withdrawWithSig", IEmethAccounts.withdrawWithSig.selector);
        all = _add(all, ledger, "burn", IEmethAccounts.burn.selector);
        all = _add(all, ledger, "payWorkers", IEmethCore.payWorkers.selector);
        all = _add(all, ledger, "claimPay", IEmethCore.claimPay.selector);
        all = _add(all, ledger, "multicall", bytes4(keccak256("multicall(bytes[])")));
        return _add(all, ledger, "claimSlots", IRewardPool.claimSlots.selector);
    }

    function _nodes(string memory all, Ledger ledger) private view returns (string memory) {
        all = _add(all, ledger, "register", INodeRegistry.register.selector);
        all = _add(all, ledger, "deactivate", INodeRegistry.deactivate.selector);
        all = _add(all, ledger, "reactivate", INodeRegistry.reactivate.selector);
        all = _add(all, ledger, "withdrawStake", INodeRegistry.withdrawStake.selector);
        all = _add(all, ledger, "addStake", INodeRegistry.addStake.selector);
        all = _add(all, ledger, "proposePayout", INodeRegistry.proposePayout.selector);
        all = _add(all, ledger, "confirmPayout", INodeRegistry.confirmPayout.selector);
        return _add(all, ledger, "takeOrganisation", INodeRegistry.takeOrganisation.selector);
    }

    function _rest(string memory all, Ledger ledger) private view returns (string memory) {
        all = _add(all, ledger, "setTerms", IEmethCore.setTerms.selector);
        all = _add(all, ledger, "setPaused", IEmethCore.setPaused.selector);
        all = _add(all, ledger, "setRegistry", IEmethAccounts.setRegistry.selector);
        all = _add(all, ledger, "revokeRole", bytes4(keccak256("revokeRole(bytes32,address)")));
        return _add(all, ledger, "calls from within a transfer", "calls from within a transfer");
    }

    function _add(string memory all, Ledger ledger, string memory name, bytes32 what) private view returns (string memory) {
        return string.concat(all, name, " ", vm.toString(ledger.reached(what)), ",");
    }
}
