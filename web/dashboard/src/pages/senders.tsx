import type { LiveSender } from '../../../../src/observe/live/types.ts';
import { NumberedList } from '../numbered-list.tsx';
import { SenderTable } from '../sender-table.tsx';
import { Card } from '../ui.tsx';

export function Senders() {
  return (
    <NumberedList<LiveSender>
      path="/senders"
      title="Senders"
      searchLabel="Id or tenant"
      choices={[
        ['waiting', 'With messages in the queue'],
        ['paused', 'Paused'],
        ['trouble', 'Paused, slowed or circuit open'],
      ]}
      none="No sender fits."
    >
      {(senders) => (
        <Card title="Senders">
          <SenderTable senders={senders} />
        </Card>
      )}
    </NumberedList>
  );
}
