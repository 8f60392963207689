"""Human3.6M in the two layouts that the lifting systems were published on. The files must be brought along.

LCN: ``h36m_train.pkl`` and ``h36m_test.pkl``, each a list of frames, and the detected keypoints beside them:

    joint_3d_image   (17, 3) pixels x, y, and depth relative to the root in pixels (`image_space`)
    joint_3d_camera  (17, 3) mm in the axes of the camera
    box              (4,) x0 y0 x1 y1 pixels;  root_depth: mm;  camera_param: {fx fy cx cy name, R T k p}
    subject, action  numbers; also subaction, videoid, cameraid, imageid, image_path, center, scale: not used

    h36m_sh_dt_ft.pkl   {train, test: {joint3d_image (N, 17, >= 2) detected x, y, confidence (N, 17, 1)}}, frame by
                        frame as in the lists

EHGFormer: ``h36m_sh_conf_cam_source_final.pkl``, {train, test: {...}}:

    joint_2d         (N, 17, >= 2) pixels;  confidence: (N, 17, 1) or (N, 17), ones where there is none
    joint3d_image    (N, 17, 3) as joint_3d_image above
    camera_name      N texts;  source: N names of recordings, s_09_act_05_subact_02_ca_01
    test alone: joints_2.5d_image or joint_2.5d_image (N, 17, 3) mm, 2.5d_factor (N) mm a pixel, action (N) names

They are read without running code (poseworks.core.unpickling), and copied once: what is read of a file is what the
returned arrays take, a quarter more for a moment where the frames come one by one, and 0.1 GB beside it. For the
1,559,752 training frames that is 0.7 GB (LCN), 0.9 GB (LCN, detected keypoints) or 0.65 GB (EHGFormer).
"""
