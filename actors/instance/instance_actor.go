package instance

import (
	"context"

	"github.com/rookery-chat/rookery/actors/turn"
	"github.com/rookery-chat/rookery/protocol"
)

// New describes the kind to the loop.
func New() *turn.Kind[State] {
	k := &turn.Kind[State]{
		Name:   protocol.KindInstance,
		Leased: true,
	}
	k.Load = func(ctx context.Context, env *turn.Env, t turn.Turn) (*State, error) {
		return load(ctx, env.DB, t)
	}

	k.Start = func(*State, turn.Turn) turn.Outcome {
		return turn.Outcome{Timers: []turn.Timer{{Msg: &sweepLeaving{}}}}
	}

	turn.On(k, protocol.OnboardingGet, (*State).onboardingStatus, turn.Structural)
	turn.On(k, protocol.OnboardingSetup, (*State).setUp, turn.Structural)
	turn.On(k, protocol.InstancePublic, (*State).publicSettings)

	turn.On(k, protocol.UserRegister, (*State).registerUser, turn.Structural)
	turn.On(k, protocol.InviteCreate, (*State).createInvite, turn.Structural)
	turn.On(k, protocol.InviteDelete, (*State).deleteInvite, turn.Structural)

	turn.On(k, protocol.InstanceGet, (*State).getSettings)
	turn.On(k, protocol.InstanceUpdate, (*State).updateSettings, turn.Structural)
	turn.On(k, protocol.StorageSettings, (*State).updateStorageSettings, turn.Structural)
	turn.On(k, protocol.StorageQuota, (*State).setQuota, turn.Structural)
	turn.On(k, protocol.StorageRecount, (*State).recountStorage, turn.Structural)

	turn.On(k, protocol.UserBan, (*State).banUser, turn.Structural)
	turn.On(k, protocol.UserDelete, (*State).deleteAccount, turn.Structural)
	turn.On(k, protocol.UserRole, (*State).setRole, turn.Structural)
	turn.On(k, protocol.AccountDelete, (*State).leaveInstance, turn.Structural)
	turn.On(k, protocol.AccountReset, (*State).resetPassword, turn.Structural)
	turn.OnMessage(k, (*State).endAgain)
	turn.OnMessage(k, (*State).sweepLeaving)
	turn.OnMessage(k, (*State).finishLeaving)

	turn.On(k, protocol.DebugEmit, (*State).emitEvent)
	turn.On(k, protocol.InstanceRoleCreate, (*State).createRole, turn.Structural)
	turn.On(k, protocol.InstanceRoleUpdate, (*State).updateRole, turn.Structural)
	turn.On(k, protocol.InstanceRoleDelete, (*State).deleteRole, turn.Structural)
	turn.On(k, protocol.InstanceRoleAssign, (*State).assignRole, turn.Structural)
	turn.On(k, protocol.InstanceRoleUnassign, (*State).unassignRole, turn.Structural)
	return k
}
