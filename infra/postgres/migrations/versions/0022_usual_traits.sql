drop index ops.user_traits_usual_idx;
