// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "./interfaces/IEmethCore.sol";

/// @dev Everything the escrow stores of an account, in one word, so that a call that checks a role and pays
/// the account touches one word: bits 0 to 119 are its credit, 120 to 239 what it forfeited, 240 to 247 the
/// number of the registry in which it is an active node (zero: none), bit 248 whether it is a verifier. The
/// compiler would read and write the fields of a struct separately.
struct Account {
    uint256 word;
}

using AccountWord for Account global;

/// @title The fields of an account
library AccountWord {
    uint256 private constant FORFEITED = 120;
    uint256 private constant ACTIVE_IN = 240;
    uint256 private constant VERIFIER = 248;

    function credit(Account storage account) internal view returns (uint256) {
        return uint120(account.word);
    }

    function forfeited(Account storage account) internal view returns (uint256) {
        return uint120(account.word >> FORFEITED);
    }

    function activeIn(Account storage account) internal view returns (uint8) {
        return uint8(account.word >> ACTIVE_IN);
    }

    function isVerifier(Account storage account) internal view returns (bool) {
        return account.word >> VERIFIER != 0;
    }

    /// @dev Amounts are below 2^255. All credits together are at most the token's supply, which fits; with a
    /// larger supply this reverts.
    function owe(Account storage account, uint256 amount) internal {
        uint256 word = account.word;
        unchecked {
            if (uint120(word) + amount >> FORFEITED != 0) revert IEmethCore.EmethCore_TooMuchCredit(amount);
            account.word = word + amount;
        }
    }

    /// @dev As `owe`, and adds to what is forfeited, in one write.
    function oweAndForfeit(Account storage account, uint256 owed, uint256 lost) internal {
        uint256 word = account.word;
        unchecked {
            uint256 either = uint120(word) + owed | uint120(word >> FORFEITED) + lost;
            if (either >> FORFEITED != 0) revert IEmethCore.EmethCore_TooMuchCredit(owed + lost);
            account.word = word + owed + (lost << FORFEITED);
        }
    }

    /// @dev The caller has checked that the credit covers the amount.
    function spend(Account storage account, uint256 amount) internal {
        account.word -= amount;
    }

    function clearForfeited(Account storage account) internal {
        account.word -= account.forfeited() << FORFEITED;
    }

    function setActiveIn(Account storage account, uint8 registryNumber) internal {
        account.word = account.word & ~(uint256(type(uint8).max) << ACTIVE_IN) | uint256(registryNumber) << ACTIVE_IN;
    }

    function setVerifier(Account storage account, bool next) internal {
        account.word = account.word & ~(uint256(1) << VERIFIER) | uint256(next ? 1 : 0) << VERIFIER;
    }
}
