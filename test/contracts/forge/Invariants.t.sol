// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Handler} from "./Handler.sol";
import {HostileHandler} from "./HostileHandler.sol";
import {vm} from "./Vm.sol";

/// @notice What holds after any sequence of calls by anybody. The handlers compare after every call and name the first thing that must
/// never have happened by the number of its invariant:
///
///      1  The escrow's balance is what it owes and what jobs have locked; the registry's is the stakes.  Watcher._look,
///         NodeActs._compareStakes
///      2  A job takes in or pays out what it has locked more or less, so all of it comes out, once.  Watcher._look
///      3  States follow each other as in the table, ends are final; a call that the rules forbid fails.  Watcher._isAllowed, and what
///         JobActs says of each call (Word.MUST_FAIL)
///      4  Time and anybody bring every job to its end, every credit and every stake can be taken out.  afterInvariant, Exits
///      5  No call changes another job.  Watcher._lookAtJob
///      6  A credit falls only by its owner's act or signature.  Watcher._lookAtAccounts
///      7  A call that the rules allow as a way out works, paused or not.  Watcher._judge (Word.MUST_WORK)
///      8  A job keeps the terms it was requested under.  Watcher._checkRules
///      9  No reward above 80 % of what was burnt, no slot above its emission, no supply above the cap.  Handler.claim
///     10  No more fuel is used than was bought.  JobActs.submit, Watcher._lookAtJob
///     11  The log, replayed, gives what is stored.  In TypeScript: test/contracts/replay.test.ts
///     12  Workers get no more than the payout, each index once.  JobActs._notePaid
///     13  A token that cheats, blocks or calls back breaks none of these.  HostileInvariantsTest below, Hostile.t.sol
///     14  Nobody can make another's job id.  JobActs.copy, Watcher._open
///     15  Every call brings every account exactly what the rules say, and takes it from the one who has to pay.  Outcomes, Books
///     16  Every call makes of its job what the rules say.  Outcomes, Watcher._lookAtJob
///
/// How far the crowd comes is written where EMETH_REACH says, a line for each sequence.
abstract contract Campaign {
    function _writeReach(string memory name, string memory reach) internal {
        string memory path = vm.envOr("EMETH_REACH", "");
        if (bytes(path).length > 0) vm.writeLine(path, string.concat(name, ":", reach));
    }
}

contract InvariantsTest is Campaign {
    Handler private handler;

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function setUp() external {
        handler = new Handler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function excludeSelectors() external view returns (FuzzSelector[] memory excluded) {
        bytes4[] memory selectors = new bytes4[](2);
        (selectors[0], selectors[1]) = (handler.endAll.selector, handler.takeAllOut.selector);
        excluded = new FuzzSelector[](1);
        excluded[0] = FuzzSelector(address(handler), selectors);
    }

    /// forge-config: default.invariant.fail-on-revert = true
    /// forge-config: long.invariant.fail-on-revert = true
    function invariant_01_to_16() external view {
        require(bytes(handler.violation()).length == 0, handler.violation());
    }

    function afterInvariant() external {
        _writeReach("crowd", handler.reach());
        handler.endAll();
        handler.takeAllOut();
        require(bytes(handler.violation()).length == 0, handler.violation());
    }
}

/// @notice The same with a token that changes its ways between calls.
contract HostileInvariantsTest is Campaign {
    HostileHandler private handler;

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function setUp() external {
        handler = new HostileHandler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function excludeSelectors() external view returns (FuzzSelector[] memory excluded) {
        bytes4[] memory selectors = new bytes4[](4);
        (selectors[0], selectors[1]) = (handler.endAll.selector, handler.takeAllOut.selector);
        (selectors[2], selectors[3]) = (handler.block_.selector, handler.calm.selector);
        excluded = new FuzzSelector[](1);
        excluded[0] = FuzzSelector(address(handler), selectors);
    }

    /// forge-config: default.invariant.fail-on-revert = true
    /// forge-config: long.invariant.fail-on-revert = true
    function invariant_13() external view {
        require(bytes(handler.violation()).length == 0, handler.violation());
    }

    /// @dev A token that blocks holds up no job's end; only then it has to work again.
    function afterInvariant() external {
        _writeReach("hostile", handler.reach());
        handler.block_();
        handler.endAll();
        handler.calm();
        handler.takeAllOut();
        require(bytes(handler.violation()).length == 0, handler.violation());
    }
}
