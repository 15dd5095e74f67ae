// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Account} from "./Account.sol";
import {ExactTransfer} from "./ExactTransfer.sol";
import {Governed} from "./Governed.sol";
import {IEmethAccounts} from "./interfaces/IEmethAccounts.sol";

/// @title The credit of every account
/// @notice The only place that moves tokens. The token balance is at all times the sum of what accounts are
/// owed, what they forfeited and what jobs have locked.
/// @dev When a job ends, only numbers change here and no token moves: so no token, pool or receiver can keep
/// a job from ending. `multicall` lets an account collect its pay of many jobs and withdraw it in one
/// transaction. No function is payable, so no call can spend the same value twice.
abstract contract CreditBook is Governed, ReentrancyGuardTransient, EIP712, Nonces, Multicall {
    using SafeERC20 for IERC20;

    bytes32 private constant WITHDRAWAL =
        keccak256("Withdrawal(address account,address to,uint256 amount,uint256 tip,uint256 nonce,uint256 deadline)");

    /// @inheritdoc IEmethAccounts
    IERC20 public immutable token;

    mapping(address account => Account) internal _accounts;

    constructor(IERC20 token_) EIP712("EmethCore", "1") {
        token = token_;
    }

    /// @inheritdoc IEmethAccounts
    function credit(address account) external view returns (uint256) {
        return _accounts[account].credit();
    }

    /// @inheritdoc IEmethAccounts
    function forfeited(address account) external view returns (uint256) {
        return _accounts[account].forfeited();
    }

    /// @inheritdoc IEmethAccounts
    function isActive(address node) public view returns (bool) {
        return registry == address(0) || _accounts[node].activeIn() == registryNumber;
    }

    /// @inheritdoc IEmethAccounts
    function setActive(address node, bool active) external {
        // Check: the caller is the present registry.
        if (msg.sender != registry) revert EmethCore_NotRegistry(msg.sender);
        // Effect: the node counts as active in this registry, or in none.
        _accounts[node].setActiveIn(active ? registryNumber : 0);
        emit NodeActivityChanged(node, active);
    }

    /// @inheritdoc IEmethAccounts
    function deposit(address account, uint256 amount) external nonReentrant {
        // Check: the amount fits into an account.
        if (amount > type(uint120).max) revert EmethCore_TooMuchCredit(amount);
        // Effect: this credit exists only because the transfer below reverts if it falls short.
        _accounts[account].owe(amount);
        emit Deposited(account, msg.sender, amount);
        // Interaction: the tokens come in.
        ExactTransfer.pull(token, msg.sender, amount);
    }

    /// @inheritdoc IEmethAccounts
    function withdraw(address to, uint256 amount) external nonReentrant {
        // Check and effect: the credit covers the amount and falls by it.
        _spend(msg.sender, amount);
        emit Withdrawn(msg.sender, to, amount);
        // Interaction: the tokens go out.
        token.safeTransfer(to, amount);
    }

    /// @inheritdoc IEmethAccounts
    function withdrawWithSig(address account, address to, uint256 amount, uint256 tip, uint256 deadline, bytes calldata signature)
        external
        nonReentrant
    {
        // Check: the account signed exactly this, and the signature has neither expired nor been used.
        if (block.timestamp > deadline) revert EmethCore_SignatureExpired(deadline);
        bytes32 content = keccak256(abi.encode(WITHDRAWAL, account, to, amount, tip, _useNonce(account), deadline));
        address signer = ECDSA.recoverCalldata(_hashTypedDataV4(content), signature);
        if (signer != account) revert EmethCore_WrongSignature(signer, account);
        // Effect: credit becomes tokens of `to`, and the tip becomes credit of the caller.
        _spend(account, amount + tip);
        _owe(msg.sender, tip);
        emit WithdrawalRelayed(account, msg.sender, tip);
        emit Withdrawn(account, to, amount);
        // Interaction: the tokens go out.
        token.safeTransfer(to, amount);
    }

    /// @inheritdoc IEmethAccounts
    function burn(address account) external nonReentrant {
        uint256 amount = _accounts[account].forfeited();
        // Effect: nothing to check, because forfeited tokens belong to no account.
        _accounts[account].clearForfeited();
        emit Burnt(account, amount);
        // Interaction: the tokens are burnt.
        ERC20Burnable(address(token)).burn(amount);
    }

    /// @dev Takes `amount` from `account`'s credit first and the rest from its tokens. Ends in an
    /// interaction: call it last.
    function _collect(address account, uint256 amount) internal {
        uint256 owned = _accounts[account].credit();
        uint256 fromCredit = owned < amount ? owned : amount;
        // Effect: the credit is used first.
        if (fromCredit > 0) {
            _accounts[account].spend(fromCredit);
            emit CreditUsed(account, fromCredit);
        }
        // Interaction: the rest comes out of the account's tokens.
        if (amount > fromCredit) ExactTransfer.pull(token, account, amount - fromCredit);
    }

    function _owe(address account, uint256 amount) internal {
        if (amount > 0) _accounts[account].owe(amount);
    }

    /// @dev Forfeited tokens go to no account: if a party got them, luring others into a penalty would be
    /// profitable.
    function _oweAndForfeit(address account, uint256 owed, uint256 lost) internal {
        _accounts[account].oweAndForfeit(owed, lost);
    }

    function _isVerifier(address account) internal view returns (bool) {
        return _accounts[account].isVerifier();
    }

    function _grantRole(bytes32 role, address account) internal override returns (bool) {
        // Effect: the account is marked as a verifier. OpenZeppelin's callers of this have checked the
        // caller.
        if (role == VERIFIER_ROLE) _accounts[account].setVerifier(true);
        return super._grantRole(role, account);
    }

    function _revokeRole(bytes32 role, address account) internal override returns (bool) {
        // Effect: the mark is removed, on the same terms.
        if (role == VERIFIER_ROLE) _accounts[account].setVerifier(false);
        return super._revokeRole(role, account);
    }

    function _spend(address account, uint256 amount) private {
        uint256 owned = _accounts[account].credit();
        // Check: the credit covers the amount.
        if (amount > owned) revert EmethCore_NotEnoughCredit(account, owned, amount);
        // Effect: the credit falls.
        _accounts[account].spend(amount);
    }
}
