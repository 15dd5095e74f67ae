// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEmethCore} from "../../../../src/contracts/interfaces/IEmethCore.sol";
import {FIRST_VERIFIER, RESULT, SOMEBODY} from "../Crowd.sol";
import {Ledger} from "../Ledger.sol";
import {Outcome, Outcomes} from "../Outcome.sol";
import {Rules} from "../Rules.sol";
import {Actor} from "./Actor.sol";

/// @notice Brings verdicts on results, with valid and forged signatures.
contract VerdictActor is Actor {
    constructor(Ledger ledger) Actor(ledger) {}

    /// @param signers Bit n: verifier n signs.
    /// @param bringer Who brings the verdict: one of the two verifiers, or somebody else.
    /// @param forgery One time in four the verdict is brought in a way that must be refused.
    function judge(uint256 job, bool isGood, uint256 signers, uint256 bringer, uint8 forgery) external {
        if (_hasNoJobs()) return;
        (bytes16 jobId, uint256 caller) = (_id(job), FIRST_VERIFIER + bringer % 3);
        IEmethCore.Job memory before = _core.jobs(jobId);
        bool isOpen = _isJudgeable(before, isGood) && _isQuorum(jobId, signers % 4, caller);
        if (isOpen && forgery % 4 == 0) _ledger.note("forged verdicts");
        if (forgery % 4 == 0) isOpen = false;
        Outcome memory outcome = isOpen
            ? Rules.verdict(before, _ledger.rulesOf(jobId), isGood, _earner(signers % 4, caller))
            : Outcomes.none();
        bytes memory data = _verdict(jobId, isGood, signers % 4, forgery);
        _ledger.call(_accounts[caller], jobId, data, _when(isOpen), outcome);
    }

    function _verdict(bytes16 jobId, bool isGood, uint256 signers, uint8 forgery) private view returns (bytes memory) {
        // Either another result is meant, and signed, or something is wrong with the signatures.
        bytes20 commitment = forgery % 8 == 0 ? bytes20(RESULT) : Rules.commitment(_ledger.splitOf(jobId).root);
        bytes memory signed = forgery % 8 == 4
            ? _forged(jobId, commitment, isGood, forgery / 8)
            : _signatures(jobId, commitment, isGood, signers);
        return isGood
            ? abi.encodeCall(_core.verify, (jobId, commitment, signed))
            : abi.encodeCall(_core.rejectResult, (jobId, commitment, bytes16(RESULT), signed));
    }

    function _signatures(bytes16 jobId, bytes20 commitment, bool isGood, uint256 signers)
        private
        view
        returns (bytes memory signed)
    {
        for (uint256 i = 0; i < 2; ++i) {
            uint256 verifier = i ^ _smaller();
            if (signers >> verifier & 1 == 1) signed = bytes.concat(signed, _signature(FIRST_VERIFIER + verifier, jobId, commitment, isGood));
        }
    }

    /// @dev Doubled, in the wrong order, by somebody who is no verifier, of the opposite verdict, of another
    /// job, or a byte too long.
    function _forged(bytes16 jobId, bytes20 commitment, bool isGood, uint256 kind) private view returns (bytes memory) {
        (uint256 low, uint256 high) = (FIRST_VERIFIER + _smaller(), FIRST_VERIFIER + 1 - _smaller());
        bytes memory first = _signature(low, jobId, commitment, isGood);
        bytes memory second = _signature(high, jobId, commitment, isGood);
        kind %= 6;
        if (kind == 0) return bytes.concat(first, first);
        if (kind == 1) return bytes.concat(second, first);
        if (kind == 2) return _signature(SOMEBODY, jobId, commitment, isGood);
        if (kind == 3) return _signature(low, jobId, commitment, !isGood);
        if (kind == 4) return _signature(high, ~jobId, commitment, isGood);
        return bytes.concat(first, bytes1(0));
    }

    function _signature(uint256 signer, bytes16 jobId, bytes20 commitment, bool isGood) private view returns (bytes memory) {
        return _crowd.signAttestation(signer, jobId, commitment, isGood, isGood ? bytes16(0) : bytes16(RESULT));
    }

    /// @dev Which of the two verifiers has the smaller address, and so signs first.
    function _smaller() private view returns (uint256) {
        return _accounts[FIRST_VERIFIER] < _accounts[FIRST_VERIFIER + 1] ? 0 : 1;
    }

    /// @dev The verifier that brings the verdict, else the first that signed it.
    function _earner(uint256 signers, uint256 caller) private view returns (address) {
        if (_core.hasRole(_core.VERIFIER_ROLE(), _accounts[caller])) return _accounts[caller];
        uint256 first = signers == 3 ? _smaller() : signers - 1;
        return _accounts[FIRST_VERIFIER + first];
    }

    function _isJudgeable(IEmethCore.Job memory job, bool isGood) private view returns (bool) {
        bool isInWindow = _now() <= job.deadline;
        if (job.state == IEmethCore.State.SUBMITTED) return isGood || isInWindow;
        return job.state == IEmethCore.State.DISPUTED && isInWindow;
    }

    /// @dev Every signer must be a verifier; the caller counts if it is one, and nobody counts twice.
    function _isQuorum(bytes16 jobId, uint256 signers, uint256 caller) private view returns (bool) {
        uint256 count = 0;
        for (uint256 i = 0; i < 2; ++i) {
            bool isVerifier = _core.hasRole(_core.VERIFIER_ROLE(), _accounts[FIRST_VERIFIER + i]);
            bool signs = signers >> i & 1 == 1;
            if (signs && !isVerifier) return false;
            if (isVerifier && (signs || caller == FIRST_VERIFIER + i)) ++count;
        }
        return count > 0 && count >= _ledger.rulesOf(jobId).quorum;
    }
}
