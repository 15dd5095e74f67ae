// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Account} from "../../../../src/contracts/Account.sol";
import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";

/// @notice The packed word, compared with the four fields it holds.
contract AccountTest {
    uint256 private constant MOST = type(uint120).max;

    Account private _account;

    function testFuzz_eachFieldChangesAlone(uint120 owed, uint120 lost, uint8 activeIn, bool isVerifier) external {
        _account.setActiveIn(activeIn);
        _account.setVerifier(isVerifier);
        _account.oweAndForfeit(owed, lost);
        _is(owed, lost, activeIn, isVerifier);
        _account.spend(owed);
        _is(0, lost, activeIn, isVerifier);
        _account.owe(owed);
        _is(owed, lost, activeIn, isVerifier);
        _account.clearForfeited();
        _is(owed, 0, activeIn, isVerifier);
        _account.setActiveIn(~activeIn);
        _is(owed, 0, ~activeIn, isVerifier);
        _account.setVerifier(!isVerifier);
        _is(owed, 0, ~activeIn, !isVerifier);
    }

    function testFuzz_whatIsOwedAndLostAddsUp(uint96[2] calldata owed, uint96[2] calldata lost) external {
        _account.owe(1);
        for (uint256 i = 0; i < 2; ++i) _account.oweAndForfeit(owed[i], lost[i]);
        _is(1 + uint256(owed[0]) + owed[1], uint256(lost[0]) + lost[1], 0, false);
    }

    function testFuzz_whatDoesNotFitIsRefusedAndChangesNothing(uint120 had, uint120 more) external {
        bool fits = uint256(had) + more <= MOST;
        _account.oweAndForfeit(had, had);
        bytes[3] memory calls = [
            abi.encodeCall(this.owe, (more)),
            abi.encodeCall(this.oweAndForfeit, (more, 0)),
            abi.encodeCall(this.oweAndForfeit, (0, more))
        ];
        for (uint256 i = 0; i < 3; ++i) {
            uint256 word = _account.word;
            (bool done, bytes memory answer) = address(this).call(calls[i]);
            require(done == fits, fits ? "what fits was refused" : "what does not fit was taken");
            if (!done) {
                require(bytes4(answer) == IEmethCore.EmethCore_TooMuchCredit.selector, "refused with another error");
                require(_account.word == word, "the account changed");
            }
            _account.word = word;
        }
    }

    function test_theMostFitsAndOneMoreDoesNot() external {
        _account.oweAndForfeit(MOST, MOST);
        _is(MOST, MOST, 0, false);
        (bool owed,) = address(this).call(abi.encodeCall(this.owe, (1)));
        (bool forfeited,) = address(this).call(abi.encodeCall(this.oweAndForfeit, (0, 1)));
        require(!owed && !forfeited, "one more fitted");
    }

    function owe(uint256 amount) external {
        _account.owe(amount);
    }

    function oweAndForfeit(uint256 owed, uint256 lost) external {
        _account.oweAndForfeit(owed, lost);
    }

    function _is(uint256 owed, uint256 lost, uint8 activeIn, bool isVerifier) private view {
        require(_account.credit() == owed, "credit");
        require(_account.forfeited() == lost, "forfeited");
        require(_account.activeIn() == activeIn, "active in");
        require(_account.isVerifier() == isVerifier, "verifier");
    }
}
