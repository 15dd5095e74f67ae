import { mutationsOf } from './mutation';

export const payMutations = [
  ...mutationsOf('Payroll', {
    'payWorkers refuses sixteen payees': {
      find: 'if (payees.length > MAX_PAYEES)',
      replace: 'if (payees.length >= MAX_PAYEES)',
      why: 'The bound would not be the one that is documented.',
    },
    'payWorkers takes any list': {
      find: '_requireResult(jobId, job.commitment, commit(resultHash, root));',
      replace: '',
      why: 'Anybody could pay itself.',
    },
    'payWorkers takes a list that pays too little': {
      find: 'sum != job.payout',
      replace: 'sum > job.payout',
      why: 'The rest would stay in the escrow for ever.',
    },
    'payWorkers pays what was claimed again': {
      find: ' || _claimed[jobId][0] != 0)',
      replace: ')',
      why: 'A tree that allots half the payout could be claimed in full and then paid once more.',
    },
    'payWorkers takes a list of nothing': {
      find: 'if (sum == 0 || sum != job.payout',
      replace: 'if (sum != job.payout',
      why: 'A paid job could be paid again and again in the log.',
    },
    'payWorkers leaves the payout': {
      find: 'job.payout = 0;\n        for',
      replace: 'for',
      why: 'Anybody could pay the list again.',
    },
    'payWorkers pays the caller': {
      find: '_owe(payees[i].worker, payees[i].amount);',
      replace: '_owe(msg.sender, payees[i].amount);',
      why: 'Anybody could take the pay of workers.',
    },
    'claimPay takes any tree': {
      find: '_requireResult(jobId, job.commitment, commit(resultHash, payoutRoot));',
      replace: '',
      why: 'Anybody could pay itself.',
    },
    'claimPay pays an index again': {
      find: 'if (_claimed[jobId][word] & bit != 0) revert EmethCore_AlreadyClaimed(jobId, index);',
      replace: '',
      why: 'A worker could take the pay of the others.',
    },
    'claimPay notes no claim': {
      find: '_claimed[jobId][word] |= bit;',
      replace: '',
      why: 'A worker could take the pay of the others.',
    },
    'claimPay forgets the other claims': {
      find: '_claimed[jobId][word] |= bit;',
      replace: '_claimed[jobId][word] = bit;',
      why: 'Two workers in turn could take the pay of the others.',
    },
    'claimPay mixes up far indexes': {
      find: '(index >> 8, 1 << (index & 0xff))',
      replace: '(0, 1 << (index & 0xff))',
      why: 'A worker could not claim where the 256th before it had.',
    },
    'claimPay needs no proof': {
      find: 'if (!MerkleProof.verifyCalldata(proof, payoutRoot, PayoutTree.leaf(index, worker, amount))) {',
      replace: 'if (false) {',
      why: 'Anybody could pay itself.',
    },
    'claimPay refuses the last of the payout': {
      find: 'amount > job.payout',
      replace: 'amount >= job.payout',
      why: 'The last worker would get nothing.',
    },
    'claimPay pays nothing': {
      find: 'if (amount == 0 || amount > job.payout)',
      replace: 'if (amount > job.payout)',
      why: 'The log would fill with claims of nothing.',
    },
    'claimPay leaves the payout': {
      find: 'job.payout -= amount;',
      replace: '',
      why: 'A wrong tree could pay out more than the job earned.',
    },
    'claimPay pays the caller': {
      find: '_owe(worker, amount);',
      replace: '_owe(msg.sender, amount);',
      why: 'Anybody could take the pay of workers.',
    },
    'sweepUnclaimed is open to anybody': {
      find: '_requireNode(jobId, job);',
      replace: '',
      why: 'Anybody could take what nobody claimed.',
    },
    'sweepUnclaimed comes too early': {
      find: '_requireOver(jobId, job);',
      replace: '',
      why: 'A node could take the pay of its workers.',
    },
    'sweepUnclaimed leaves the payout': {
      find: 'job.payout = 0;\n        _owe(msg.sender, amount);',
      replace: '_owe(msg.sender, amount);',
      why: 'A node could sweep again and again.',
    },
  }),
  ...mutationsOf('PayoutTree', {
    'leaves are hashed once': {
      find: 'keccak256(bytes.concat(keccak256(abi.encode(index, worker, amount))))',
      replace: 'keccak256(abi.encode(index, worker, amount))',
      why: 'No tree of the usual libraries would fit.',
    },
    'leaves leave the index out': {
      find: 'abi.encode(index, worker, amount)',
      replace: 'abi.encode(worker, amount)',
      why: 'One leaf could be claimed under every index.',
    },
    'leaves are not sorted': {
      find: 'while (place > 0 && tree[last - (place - 1)] > value)',
      replace: 'while (place > 0 && tree[last - (place - 1)] < value)',
      why: 'No tree of the usual libraries would fit.',
    },
    'the sum is the last amount': {
      find: 'sum += payees[i].amount;',
      replace: 'sum = payees[i].amount;',
      why: 'A list could pay out more than the job earned.',
    },
  }),
];
