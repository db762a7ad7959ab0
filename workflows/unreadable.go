package workflows

import (
	"fmt"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
)

// Unending is a data converter for workers, around the one that they work with. By itself the SDK fails a workflow
// whose input can't be read, as by a worker that lacks the key: the enrolment would end. With this it stands still,
// and a worker that can read its input goes on with it.
func Unending(around converter.DataConverter) converter.DataConverter { return unending{around} }

type unending struct{ converter.DataConverter }

// FromPayloads implements converter.DataConverter. A panic is what the SDK takes back a step of a workflow for.
func (u unending) FromPayloads(payloads *commonpb.Payloads, into ...any) error {
	err := u.DataConverter.FromPayloads(payloads, into...)
	if err != nil && len(into) == 1 {
		if _, input := into[0].(*State); input {
			panic(fmt.Sprintf("this worker can't read the state of the sync, which waits for one that can: %v", err))
		}
	}
	return err
}
