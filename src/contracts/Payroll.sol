// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {IEmethCore} from "./interfaces/IEmethCore.sol";
import {JobBook} from "./JobBook.sol";
import {PayoutTree} from "./PayoutTree.sol";

/// @title How a verified job's payout reaches its workers
/// @notice All at once by the list, or one by one by proof. The running total is the job's own `payout`, so
/// no tree, however wrong, pays out more than the job earned.
abstract contract Payroll is JobBook {
    uint256 private constant MAX_PAYEES = 16;

    mapping(bytes16 jobId => mapping(uint256 word => uint256 bits)) private _claimed;

    /// @inheritdoc IEmethCore
    function payWorkers(bytes16 jobId, bytes32 resultHash, Payee[] calldata payees) external {
        PackedJob storage job = _in(jobId, State.VERIFIED);
        // Check: it is the whole committed list, and no line of it was claimed before.
        if (payees.length > MAX_PAYEES) revert EmethCore_TooManyPayees(payees.length);
        (bytes32 root, uint256 sum) = PayoutTree.rootOf(payees);
        _requireResult(jobId, job.commitment, commit(resultHash, root));
        if (sum == 0 || sum != job.payout || _claimed[jobId][0] != 0) revert EmethCore_WrongPayout(jobId, sum, job.payout);
        // Effect: with nothing left, no claim can follow.
        job.payout = 0;
        for (uint256 i = 0; i < payees.length; ++i) {
            _owe(payees[i].worker, payees[i].amount);
            emit WorkerPaid(jobId, payees[i].worker, i, payees[i].amount);
        }
    }

    /// @inheritdoc IEmethCore
    function claimPay(
        bytes16 jobId,
        bytes32 resultHash,
        bytes32 payoutRoot,
        uint256 index,
        address worker,
        uint96 amount,
        bytes32[] calldata proof
    ) external {
        PackedJob storage job = _in(jobId, State.VERIFIED);
        // Check: the line is in the committed tree, was not paid, and the rest of the payout covers it.
        _requireResult(jobId, job.commitment, commit(resultHash, payoutRoot));
        (uint256 word, uint256 bit) = (index >> 8, 1 << (index & 0xff));
        if (_claimed[jobId][word] & bit != 0) revert EmethCore_AlreadyClaimed(jobId, index);
        if (!MerkleProof.verifyCalldata(proof, payoutRoot, PayoutTree.leaf(index, worker, amount))) {
            revert EmethCore_WrongProof(jobId, index);
        }
        if (amount == 0 || amount > job.payout) revert EmethCore_WrongPayout(jobId, amount, job.payout);
        // Effect: the line is paid, once.
        _claimed[jobId][word] |= bit;
        job.payout -= amount;
        _owe(worker, amount);
        emit WorkerPaid(jobId, worker, index, amount);
    }

    /// @inheritdoc IEmethCore
    function sweepUnclaimed(bytes16 jobId) external {
        PackedJob storage job = _in(jobId, State.VERIFIED);
        // Check: the caller is the job's node, and the claim window is over.
        _requireNode(jobId, job);
        _requireOver(jobId, job);
        // Effect: the node gets the rest.
        uint256 amount = job.payout;
        job.payout = 0;
        _owe(msg.sender, amount);
        emit PaySwept(jobId, msg.sender, amount);
    }
}
