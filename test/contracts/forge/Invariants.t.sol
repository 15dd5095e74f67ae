// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {EmethToken} from "../../../src/contracts/EmethToken.sol";
import {RewardPool} from "../../../src/contracts/RewardPool.sol";
import {AdminActor} from "./actors/AdminActor.sol";
import {HostileActor} from "./actors/HostileActor.sol";
import {MoneyActor} from "./actors/MoneyActor.sol";
import {NodeActor} from "./actors/NodeActor.sol";
import {PayActor} from "./actors/PayActor.sol";
import {ProgressActor} from "./actors/ProgressActor.sol";
import {RequestActor} from "./actors/RequestActor.sol";
import {RewardActor} from "./actors/RewardActor.sol";
import {TimeActor} from "./actors/TimeActor.sol";
import {VerdictActor} from "./actors/VerdictActor.sol";
import {WorkActor} from "./actors/WorkActor.sol";
import {Behaviour, HostileBehaviour} from "./Behaviour.sol";
import {Crowd} from "./Crowd.sol";
import {Deploy} from "./Deployed.sol";
import {Exits} from "./Exits.sol";
import {HostileToken} from "./HostileToken.sol";
import {Ledger} from "./Ledger.sol";
import {Reach} from "./Reach.sol";
import {vm} from "./Vm.sol";

/// @notice What holds after any sequence of calls by anybody. Actors make the calls and state, by `Rules`, what each
/// call must bring; the `Ledger` compares after every call and keeps the first violation, with the number of its
/// invariant:
///
///      1  The escrow's balance is what it owes and what jobs have locked; the registry's is the stakes.  Ledger._compare,
///         NodeActor._compareStakes
///      2  A job takes in or pays out what its locked money changes by, so all of it comes out, once.  Ledger._compare
///      3  States follow each other as in the table, ends are final; a call that the rules forbid fails.  Rules.mayFollow,
///         Ledger._compareJob; Ledger._send, with what each actor says of its call (Expected.FAILURE)
///      4  Time and anybody bring every job to its end, every credit and every stake can be taken out.  Exits, afterInvariant
///      5  No call changes another job.  Ledger._compareJob
///      6  A credit falls only by its owner's act or signature.  Ledger._compareAccounts
///      7  A call that the rules allow as a way out works, paused or not.  Ledger._send, with what each actor says of its call
///         (Expected.SUCCESS)
///      8  A job keeps the terms it was requested under.  Ledger._checkRules
///      9  No reward above 80 % of what was burnt, no slot above its emission, no supply above the cap.  RewardActor.claim
///     10  No more fuel is used than was bought.  WorkActor.submit, Ledger._compareJob
///     11  The log, replayed, gives what is stored.  In TypeScript: test/contracts/replay.test.ts
///     12  Workers get no more than the payout, each line once.  PayActor, Ledger.notePaid
///     13  A token that cheats, blocks or calls back breaks none of these.  HostileInvariantsTest below, Hostile.t.sol
///     14  Nobody can make another's job id.  RequestActor.copy, Ledger.request
///     15  Every call brings every account exactly what the rules say, and takes it from the account that has to pay.  Rules,
///         Ledger._compareAccounts
///     16  Every call makes of its job what the rules say.  Rules, Ledger._compareJob
///
/// How far the campaign comes is written where EMETH_REACH says, a line for each sequence.
abstract contract Campaign {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Ledger internal ledger;
    Exits internal exits;
    RequestActor internal requests;
    address[] private _targets;
    FuzzSelector[] private _excluded;

    /// @dev The actors of both campaigns.
    function _cast(Ledger ledger_) internal {
        ledger = ledger_;
        exits = Exits(_deploy("Exits", abi.encode(ledger)));
        ProgressActor.Others memory others = ProgressActor.Others({
            requests: RequestActor(_target("RequestActor", abi.encode(ledger))),
            work: WorkActor(_target("WorkActor", abi.encode(ledger))),
            verdicts: VerdictActor(_target("VerdictActor", abi.encode(ledger))),
            pay: PayActor(_target("PayActor", abi.encode(ledger))),
            nodes: NodeActor(_target("NodeActor", abi.encode(ledger))),
            admin: AdminActor(_target("AdminActor", abi.encode(ledger)))
        });
        requests = others.requests;
        _target("MoneyActor", abi.encode(ledger));
        _target("TimeActor", abi.encode(ledger));
        _target("ProgressActor", abi.encode(ledger, others));
        // Part of `advance` and of `govern`, and no act by itself.
        _exclude(address(others.nodes), NodeActor.restore.selector);
        _exclude(address(others.admin), AdminActor.restore.selector);
    }

    /// @dev As compiled by itself: `new` would compile every actor once more into each of the tests.
    function _deploy(string memory name, bytes memory args) internal returns (address) {
        return vm.deployCode(string.concat(name, ".sol:", name), args);
    }

    function _target(string memory name, bytes memory args) internal returns (address actor) {
        actor = _deploy(name, args);
        _targets.push(actor);
    }

    function _exclude(address actor, bytes4 selector) internal {
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = selector;
        _excluded.push(FuzzSelector(actor, selectors));
    }

    function targetContracts() external view returns (address[] memory) {
        return _targets;
    }

    function excludeSelectors() external view returns (FuzzSelector[] memory) {
        return _excluded;
    }

    function _requireNoViolation() internal view {
        require(bytes(ledger.violation()).length == 0, ledger.violation());
    }

    function _writeReach(string memory name) internal {
        string memory path = vm.envOr("EMETH_REACH", "");
        if (bytes(path).length > 0) vm.writeLine(path, string.concat(name, ":", Reach.describe(ledger)));
    }
}

contract InvariantsTest is Campaign {
    uint256 private constant SUPPLY = 1e27;
    /// @dev So little is left to mint that many sequences reach the cap.
    uint256 private constant LEFT = 20e18;

    function setUp() external {
        EmethToken emt = Deploy.token(address(this), SUPPLY, SUPPLY + LEFT);
        Crowd crowd = Crowd(_deploy("Crowd", abi.encode(emt)));
        RewardPool pool = Deploy.pool(address(crowd.core()), address(emt), address(crowd.registry()), LEFT);
        emt.nameRewardPool(address(pool));
        address[] memory accounts = crowd.accounts();
        for (uint256 i = 0; i < accounts.length; ++i) emt.transfer(accounts[i], 1e24);
        // In its last days the pool emits less than the crowd burns, so that both bounds of a reward matter: the emission
        // and the share of what was burnt.
        vm.warp(vm.getBlockTimestamp() + 7297 days);
        crowd.settle();
        address behaviour = _deploy("Behaviour", "");
        _cast(Ledger(_deploy("Ledger", abi.encode(crowd, behaviour, accounts))));
        _target("RewardActor", abi.encode(ledger, pool, LEFT));
    }

    /// forge-config: default.invariant.fail-on-revert = true
    /// forge-config: long.invariant.fail-on-revert = true
    function invariant_01_to_16() external view {
        _requireNoViolation();
    }

    function afterInvariant() external {
        _writeReach("crowd");
        exits.endAll();
        exits.takeAllOut();
        _requireNoViolation();
    }
}

/// @notice The same with a token that changes its behaviour between calls.
contract HostileInvariantsTest is Campaign {
    HostileToken private _token;

    function setUp() external {
        _token = new HostileToken();
        Crowd crowd = Crowd(_deploy("Crowd", abi.encode(_token)));
        (address core, address registry) = (address(crowd.core()), address(crowd.registry()));
        address[] memory accounts = crowd.accounts();
        for (uint256 i = 0; i < accounts.length; ++i) _token.mint(accounts[i], 1e24);
        _token.mint(address(_token), 1e24);
        vm.prank(address(_token));
        _token.approve(core, type(uint256).max);
        vm.prank(address(_token));
        _token.approve(registry, type(uint256).max);
        crowd.settle();
        address behaviour = vm.deployCode("Behaviour.sol:HostileBehaviour", abi.encode(_token));
        _cast(Ledger(_deploy("Ledger", abi.encode(crowd, behaviour, _with(accounts, address(_token))))));
        _target("HostileActor", abi.encode(ledger, behaviour));
        // The hostile token knows no permits.
        _exclude(address(requests), RequestActor.requestWithPermit.selector);
    }

    /// forge-config: default.invariant.fail-on-revert = true
    /// forge-config: long.invariant.fail-on-revert = true
    function invariant_13() external view {
        _requireNoViolation();
    }

    /// @dev A token that blocks holds up no job's end; only to take the money out it has to work again.
    function afterInvariant() external {
        _writeReach("hostile");
        address core = address(ledger.crowd().core());
        _token.misbehave(HostileToken.Mode.BLOCKS, core, "");
        exits.endAll();
        _token.misbehave(HostileToken.Mode.RETURNS_NOTHING, core, "");
        exits.takeAllOut();
        _requireNoViolation();
    }

    /// @dev The escrow may come to owe the token itself: a tip for a timeout that it calls from within a transfer.
    function _with(address[] memory accounts, address one) private pure returns (address[] memory all) {
        all = new address[](accounts.length + 1);
        for (uint256 i = 0; i < accounts.length; ++i) all[i] = accounts[i];
        all[accounts.length] = one;
    }
}
