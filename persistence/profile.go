package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rookery-chat/rookery/protocol"
)

var (
	// What a user changes about himself happens one after the other: his row is
	// locked first.
	lockProfile = query(`
		SELECT ` + publicUserColumns + `, u.status_updated_at FROM app_user u WHERE u.id = $1 FOR NO KEY UPDATE`)

	// A picture is a file that the user uploaded as one.
	selectOwnPicture = query(`
		SELECT EXISTS (SELECT FROM file WHERE id = $1 AND uploaded_by = $2 AND resource_type = $3 AND deleted_at IS NULL)`)

	updateProfile = query(`
		UPDATE app_user SET display_name = $2, avatar_file_id = $3, banner_file_id = $4, bio = $5, status = $6, status_updated_at = $7
		WHERE id = $1`)

	dropPictures = query(`
		UPDATE file SET deleted_at = $3
		WHERE id = ANY ($1) AND uploaded_by = $2 AND resource_type IN ('USER_AVATAR', 'USER_BANNER') AND deleted_at IS NULL`)

	selectGroupIDs = query(`SELECT group_id FROM direct_message_group_member WHERE user_id = $1`)
)

// Resource types of the pictures of a profile.
const (
	resourceUserAvatar = "USER_AVATAR"
	resourceUserBanner = "USER_BANNER"
)

// ProfileChange is a change of what a user shows of himself. A display name that
// is cleared becomes the username.
type ProfileChange struct {
	DisplayName protocol.Patch[string]
	Avatar      protocol.Patch[protocol.FileID]
	Banner      protocol.Patch[protocol.FileID]
	Bio         protocol.Patch[string]
	Status      protocol.Patch[string]
	At          protocol.Instant
}

// Profile is a user and who sees him change.
type Profile struct {
	User        protocol.PublicUser
	Communities []protocol.CommunityID
	Groups      []protocol.GroupID // of direct messages
}

// ChangeProfile stores a change in one transaction and lets go of the pictures
// that it replaces. Errors for the caller: an unknown user, a picture that is
// none of his.
func (db *DB) ChangeProfile(ctx context.Context, id protocol.UserID, c ProfileChange) (Profile, error) {
	var p Profile
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		var statusAt *protocol.Instant
		err := tx.QueryRow(ctx, lockProfile, id).Scan(append(publicUserFields(&p.User), &statusAt)...)
		if errors.Is(err, pgx.ErrNoRows) {
			return protocol.NotFound("User not found")
		}
		if err != nil {
			return err
		}
		gone, err := applyProfile(ctx, tx, &p.User, c)
		if err != nil {
			return err
		}
		if c.Status.Given {
			statusAt = &c.At
		}
		u := &p.User
		b := &pgx.Batch{}
		b.Queue(updateProfile, id, u.DisplayName, u.AvatarURL, u.BannerURL, u.Bio, u.Status, statusAt)
		if len(gone) > 0 {
			b.Queue(dropPictures, gone, id, c.At)
		}
		queueList(b, &p.Communities, pgx.RowTo[protocol.CommunityID], selectCommunityIDs, id)
		queueList(b, &p.Groups, pgx.RowTo[protocol.GroupID], selectGroupIDs, id)
		return tx.SendBatch(ctx, b).Close()
	})
	return p, shown(err, "change profile")
}

// applyProfile changes u and returns the files that it does not show any more.
func applyProfile(ctx context.Context, tx pgx.Tx, u *protocol.PublicUser, c ProfileChange) (gone []protocol.FileID, err error) {
	u.DisplayName = c.DisplayName.Or(u.DisplayName)
	if c.DisplayName.Given && c.DisplayName.Value == nil {
		u.DisplayName = &u.Username
	}
	u.Bio, u.Status = c.Bio.Or(u.Bio), c.Status.Or(u.Status)
	for _, picture := range []struct {
		kind string
		to   protocol.Patch[protocol.FileID]
		at   **protocol.FileID
	}{{resourceUserAvatar, c.Avatar, &u.AvatarURL}, {resourceUserBanner, c.Banner, &u.BannerURL}} {
		was := *picture.at
		if !picture.to.Given || was != nil && picture.to.Value != nil && *was == *picture.to.Value {
			continue
		}
		if f := picture.to.Value; f != nil {
			var ok bool
			if err := tx.QueryRow(ctx, selectOwnPicture, *f, u.ID, picture.kind).Scan(&ok); err != nil {
				return nil, fmt.Errorf("look for file %s: %w", f, err)
			}
			if !ok {
				return nil, protocol.NotFound("File not found")
			}
		}
		if was != nil {
			gone = append(gone, *was)
		}
		*picture.at = picture.to.Value
	}
	return gone, nil
}
