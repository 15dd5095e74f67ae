import { mutationsOf } from './mutation';

export const jobMutations = [
  ...mutationsOf('JobBook', {
    'jobs shows no window of a dispute': {
      find: 'job.state == State.SUBMITTED || job.state == State.DISPUTED',
      replace: 'job.state == State.SUBMITTED',
      why: 'Verifiers would be told a time that is over.',
    },
    'jobs hides the challenger': {
      find: 'challenger: _challengers[jobId]',
      replace: 'challenger: address(0)',
      why: 'Nobody could see who disputes a result.',
    },
    'commit leaves the payout root out': {
      find: 'abi.encode(resultHash, payoutRoot)',
      replace: 'abi.encode(resultHash)',
      why: 'Any list of payees would fit a result.',
    },
    'any state will do': {
      find: 'if (job.state != needed) revert EmethCore_WrongState(jobId, job.state, needed);',
      replace: '',
      why: 'A job could end twice.',
    },
    'the second of the deadline is outside': {
      find: 'if (block.timestamp > job.time)',
      replace: 'if (block.timestamp >= job.time)',
      why: 'Work that comes in the last second would be refused.',
    },
    'the second of the deadline is over': {
      find: 'if (block.timestamp <= job.time)',
      replace: 'if (block.timestamp < job.time)',
      why: 'Two ends would be open in the same second.',
    },
    'the window is a second longer': {
      find: 'return uint40(since + rules.verdictWindow);',
      replace: 'return uint40(since + rules.verdictWindow + 1);',
      why: 'The window would not be the one that the terms name.',
    },
    'any result will do': {
      find: 'if (meant != submitted) revert EmethCore_WrongResult(jobId, meant);',
      replace: '',
      why: 'A verdict about one result would count for another.',
    },
    'the refund goes to the caller': {
      find: '_owe(job.requester, refund);',
      replace: '_owe(msg.sender, refund);',
      why: 'Anybody could take the money of requesters.',
    },
    'there is no refund': {
      find: '_owe(job.requester, refund);',
      replace: '',
      why: 'The money would stay in the escrow for ever.',
    },
    'an ended job keeps its fee': {
      find: '(job.requester, job.fee) = (address(0), 0);',
      replace: 'job.requester = address(0);',
      why: 'No gas would come back, and the view would show money that is gone.',
    },
    'the burnt part stays locked': {
      find: '_part(fee, rules.verifierBps) + _part(fee, rules.burnBps)',
      replace: '_part(fee, rules.verifierBps)',
      why: 'The requester would lose it at every end.',
    },
    'parts are rounded up': {
      find: 'return amount * bps / BPS;',
      replace: 'return (amount * bps + BPS - 1) / BPS;',
      why: 'Payout and burnt part could be more than is locked.',
    },
  }),
  ...mutationsOf('SlotBook', {
    'a slot forgets what it burnt before': {
      find: '_burnt[slot] += burnt;',
      replace: '_burnt[slot] = burnt;',
      why: 'The shares of a slot would be more than the whole.',
    },
    'a slot forgets what the node burnt before': {
      find: '_burntBy[slot][node] += burnt;',
      replace: '_burntBy[slot][node] = burnt;',
      why: 'A node would be rewarded for its last job only.',
    },
    'a slot is an hour': {
      find: 'SLOT = 1 days',
      replace: 'SLOT = 1 hours',
      why: 'The pool would look for the rewards under other numbers.',
    },
    'nothing burnt is booked as well': {
      find: 'if (burnt == 0) return slot;',
      replace: '',
      why: 'It would cost gas.',
      equivalent: 'Adding zero changes nothing but the gas used.',
    },
  }),
];
